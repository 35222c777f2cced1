; A block passes %steps rows of 128 floats through shared memory, each thread
; reading what its neighbour in the next warp wrote.
; Parameters: x [steps, 128], y [steps, 128], steps.
target triple = "nvptx64-nvidia-cuda"

@row = external addrspace(3) global [0 x i8], align 1024

declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32)
declare void @llvm.nvvm.barrier.cta.sync.aligned.count(i32, i32)
declare void @llvm.nvvm.barrier.cta.arrive.aligned.count(i32, i32)

define ptx_kernel void @rotate(ptr addrspace(1) %x, ptr addrspace(1) %y, i64 %steps) #0 {
entry:
  %tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %tid64 = zext i32 %tid to i64
  %next = add i32 %tid, 32
  %other = and i32 %next, 127
  %mine.at = getelementptr inbounds float, ptr addrspace(3) @row, i32 %tid
  %other.at = getelementptr inbounds float, ptr addrspace(3) @row, i32 %other
  br label %loop

loop:
  %i = phi i64 [ 0, %entry ], [ %i1, %loop ]
  %base = mul i64 %i, 128
  %index = add i64 %base, %tid64
  %from = getelementptr inbounds float, ptr addrspace(1) %x, i64 %index
  %value = load float, ptr addrspace(1) %from, align 4
  store float %value, ptr addrspace(3) %mine.at, align 4
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0) ; without missing-barrier
  %got = load float, ptr addrspace(3) %other.at, align 4
  %to = getelementptr inbounds float, ptr addrspace(1) %y, i64 %index
  store float %got, ptr addrspace(1) %to, align 4
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0) ; without missing-end-barrier
  %i1 = add i64 %i, 1
  %more = icmp slt i64 %i1, %steps
  br i1 %more, label %loop, label %done

done:
  ret void
}

attributes #0 = { "nvvm.maxntid"="128" }

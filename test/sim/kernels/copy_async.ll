; A block passes %steps rows of 64 x 16 bytes through two stages of shared
; memory, filled by cp.async one row ahead; each thread passes on what the
; thread of the next warp copied. The row behind the last is filled with zeros.
; Parameters: x [steps, 256], y [steps, 256], steps.
target triple = "nvptx64-nvidia-cuda"

@stages = external addrspace(3) global [0 x i8], align 1024

declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32)
declare void @llvm.nvvm.cp.async.cg.shared.global.16.s(ptr addrspace(3), ptr addrspace(1), i32)
declare void @llvm.nvvm.cp.async.commit.group()
declare void @llvm.nvvm.cp.async.wait.group(i32)

define ptx_kernel void @copy_async(ptr addrspace(1) %x, ptr addrspace(1) %y, i64 %steps) #0 {
entry:
  %tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %tid64 = zext i32 %tid to i64
  %other = xor i32 %tid, 32
  %mine.at = getelementptr inbounds <4 x float>, ptr addrspace(3) @stages, i32 %tid
  %other.at = getelementptr inbounds <4 x float>, ptr addrspace(3) @stages, i32 %other
  %from0 = getelementptr inbounds <4 x float>, ptr addrspace(1) %x, i64 %tid64
  call void @llvm.nvvm.cp.async.cg.shared.global.16.s(ptr addrspace(3) %mine.at, ptr addrspace(1) %from0, i32 16)
  call void @llvm.nvvm.cp.async.commit.group()
  br label %loop

loop:
  %i = phi i64 [ 0, %entry ], [ %i1, %loop ]
  %i1 = add i64 %i, 1
  %more = icmp slt i64 %i1, %steps
  %size = select i1 %more, i32 16, i32 0 ; without read-past-end
; with read-past-end:   %size = add i32 0, 16
  %base1 = mul i64 %i1, 64
  %index1 = add i64 %base1, %tid64
  %from1 = getelementptr inbounds <4 x float>, ptr addrspace(1) %x, i64 %index1
  %stage = and i64 %i, 1
  %offset = mul i64 %stage, 1024
  %offset1 = xor i64 %offset, 1024
  %into = getelementptr inbounds i8, ptr addrspace(3) %mine.at, i64 %offset1
  call void @llvm.nvvm.cp.async.cg.shared.global.16.s(ptr addrspace(3) %into, ptr addrspace(1) %from1, i32 %size)
  call void @llvm.nvvm.cp.async.commit.group()
  call void @llvm.nvvm.cp.async.wait.group(i32 1) ; without missing-wait
; with missing-wait:   call void @llvm.nvvm.cp.async.wait.group(i32 2)
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0) ; without missing-barrier
  %read = getelementptr inbounds i8, ptr addrspace(3) %other.at, i64 %offset
  %got = load <4 x float>, ptr addrspace(3) %read, align 16
  %base = mul i64 %i, 64
  %index = add i64 %base, %tid64
  %to = getelementptr inbounds <4 x float>, ptr addrspace(1) %y, i64 %index
  store <4 x float> %got, ptr addrspace(1) %to, align 16
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0) ; without missing-end-barrier
  br i1 %more, label %loop, label %done

done:
  call void @llvm.nvvm.cp.async.wait.group(i32 0) ; without missing-final-wait
  ret void
}

attributes #0 = { "nvvm.maxntid"="64" }

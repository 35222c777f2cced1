; Warp 0 fills a row for warp 1, %steps times: barrier 1 says that it is full,
; barrier 2 that it is empty again; each is arrived at by one warp and waited for
; by the other.
; Parameters: x [steps, 32], y [steps, 32], steps.
target triple = "nvptx64-nvidia-cuda"

@row = internal addrspace(3) global [32 x float] undef, align 16

declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare void @llvm.nvvm.barrier.cta.sync.aligned.count(i32, i32)
declare void @llvm.nvvm.barrier.cta.arrive.aligned.count(i32, i32)

define ptx_kernel void @named_barrier(ptr addrspace(1) %x, ptr addrspace(1) %y, i64 %steps) #0 {
entry:
  %tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %lane = and i32 %tid, 31
  %lane64 = zext i32 %lane to i64
  %at = getelementptr inbounds [32 x float], ptr addrspace(3) @row, i32 0, i32 %lane
  %other = xor i32 %lane, 31
  %other.at = getelementptr inbounds [32 x float], ptr addrspace(3) @row, i32 0, i32 %other
  %produces = icmp ult i32 %tid, 32
  br i1 %produces, label %fill, label %empty

fill:
  %i = phi i64 [ 0, %entry ], [ %i1, %fill ]
  %start = mul i64 %i, 32
  %index = add i64 %start, %lane64
  %from = getelementptr inbounds float, ptr addrspace(1) %x, i64 %index
  %value = load float, ptr addrspace(1) %from, align 4
  store float %value, ptr addrspace(3) %at, align 4
  call void @llvm.nvvm.barrier.cta.arrive.aligned.count(i32 1, i32 64) ; without missing-arrive
; with wrong-count:   call void @llvm.nvvm.barrier.cta.arrive.aligned.count(i32 1, i32 40)
  call void @llvm.nvvm.barrier.cta.sync.aligned.count(i32 2, i32 64) ; without missing-empty
  %i1 = add i64 %i, 1
  %more = icmp slt i64 %i1, %steps
  br i1 %more, label %fill, label %done

empty:
  %j = phi i64 [ 0, %entry ], [ %j1, %empty ]
  call void @llvm.nvvm.barrier.cta.sync.aligned.count(i32 1, i32 64)
  %got = load float, ptr addrspace(3) %other.at, align 4
  %start.out = mul i64 %j, 32
  %index.out = add i64 %start.out, %lane64
  %to = getelementptr inbounds float, ptr addrspace(1) %y, i64 %index.out
  store float %got, ptr addrspace(1) %to, align 4
  call void @llvm.nvvm.barrier.cta.arrive.aligned.count(i32 2, i32 64)
  %j1 = add i64 %j, 1
  %more.out = icmp slt i64 %j1, %steps
  br i1 %more.out, label %empty, label %done

done:
  ret void
}

attributes #0 = { "nvvm.maxntid"="64" }

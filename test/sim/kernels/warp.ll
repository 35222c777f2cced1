; Each warp of 32 reverses its floats through shared memory of its own.
; Parameters: x [64], y [64].
target triple = "nvptx64-nvidia-cuda"

@row = internal addrspace(3) global [64 x float] undef, align 16

declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare void @llvm.nvvm.bar.warp.sync(i32)
declare i32 @llvm.nvvm.shfl.sync.idx.i32(i32, i32, i32, i32)

define ptx_kernel void @warp(ptr addrspace(1) %x, ptr addrspace(1) %y) #0 {
entry:
  %tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %tid64 = zext i32 %tid to i64
  %other = xor i32 %tid, 31
  %from = getelementptr inbounds float, ptr addrspace(1) %x, i64 %tid64
  %value = load float, ptr addrspace(1) %from, align 4
  %mine.at = getelementptr inbounds [64 x float], ptr addrspace(3) @row, i32 0, i32 %tid
  store float %value, ptr addrspace(3) %mine.at, align 4
  call void @llvm.nvvm.bar.warp.sync(i32 -1) ; without shuffle-for-barrier
; with shuffle-for-barrier:   %unused = call i32 @llvm.nvvm.shfl.sync.idx.i32(i32 -1, i32 0, i32 0, i32 31)
  %other.at = getelementptr inbounds [64 x float], ptr addrspace(3) @row, i32 0, i32 %other ; without other-warp
; with other-warp:   %wrong = xor i32 %tid, 63
; with other-warp:   %other.at = getelementptr inbounds [64 x float], ptr addrspace(3) @row, i32 0, i32 %wrong
  %got = load float, ptr addrspace(3) %other.at, align 4
  %to = getelementptr inbounds float, ptr addrspace(1) %y, i64 %tid64
  store float %got, ptr addrspace(1) %to, align 4
  ret void
}

attributes #0 = { "nvvm.maxntid"="64" }

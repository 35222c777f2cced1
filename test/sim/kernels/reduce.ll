; Sum of each block's 128 floats: shuffles within warps, then shared memory.
; Parameters: x [blocks * 128], sums [blocks].
target triple = "nvptx64-nvidia-cuda"

@partial = internal addrspace(3) global [4 x float] undef, align 16

declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
declare float @llvm.nvvm.shfl.sync.bfly.f32(i32, float, i32, i32)
declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32)

define ptx_kernel void @reduce(ptr addrspace(1) %x, ptr addrspace(1) %sums) #0 {
entry:
  %tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %block = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
  %lane = and i32 %tid, 31
  %warp = lshr i32 %tid, 5
  %first = mul i32 %block, 128
  %index32 = add i32 %first, %tid
; with global-out-of-bounds:   %plus.index32 = add i32 %index32, 1
  %index = zext i32 %index32 to i64 ; without global-out-of-bounds
; with global-out-of-bounds:   %index = zext i32 %plus.index32 to i64
  %from = getelementptr inbounds float, ptr addrspace(1) %x, i64 %index
  %x0 = load float, ptr addrspace(1) %from, align 4
  %y0 = call float @llvm.nvvm.shfl.sync.bfly.f32(i32 -1, float %x0, i32 16, i32 31)
  %x1 = fadd float %x0, %y0
  %y1 = call float @llvm.nvvm.shfl.sync.bfly.f32(i32 -1, float %x1, i32 8, i32 31)
  %x2 = fadd float %x1, %y1
  %y2 = call float @llvm.nvvm.shfl.sync.bfly.f32(i32 -1, float %x2, i32 4, i32 31) ; without shuffle-mask
; with shuffle-mask:   %y2 = call float @llvm.nvvm.shfl.sync.bfly.f32(i32 65535, float %x2, i32 4, i32 31)
  %x3 = fadd float %x2, %y2
  %y3 = call float @llvm.nvvm.shfl.sync.bfly.f32(i32 -1, float %x3, i32 2, i32 31)
  %x4 = fadd float %x3, %y3
  %y4 = call float @llvm.nvvm.shfl.sync.bfly.f32(i32 -1, float %x4, i32 1, i32 31)
  %x5 = fadd float %x4, %y4
  %leads = icmp eq i32 %lane, 0
  br i1 %leads, label %write, label %join

write:
  %slot = add i32 %warp, 0 ; without shared-out-of-bounds
; with shared-out-of-bounds:   %slot = add i32 %warp, 1
  %to = getelementptr inbounds [4 x float], ptr addrspace(3) @partial, i32 0, i32 %slot
  store float %x5, ptr addrspace(3) %to, align 4
; with divergent-barrier:   call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
; with early-exit:   ret void
  br label %join ; without early-exit

join:
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0) ; without missing-barrier
  %first.warp = icmp eq i32 %tid, 0
  br i1 %first.warp, label %total, label %done

total:
  %p0 = load float, ptr addrspace(3) @partial, align 16
  %a1 = getelementptr inbounds [4 x float], ptr addrspace(3) @partial, i32 0, i32 1
  %p1 = load float, ptr addrspace(3) %a1, align 4
  %a2 = getelementptr inbounds [4 x float], ptr addrspace(3) @partial, i32 0, i32 2
  %p2 = load float, ptr addrspace(3) %a2, align 4 ; without misaligned
; with misaligned:   %p2 = load float, ptr addrspace(3) %a2, align 16
  %a3 = getelementptr inbounds [4 x float], ptr addrspace(3) @partial, i32 0, i32 3
  %p3 = load float, ptr addrspace(3) %a3, align 4
  %s0 = fadd float %p0, %p1
  %s1 = fadd float %s0, %p2
  %s2 = fadd float %s1, %p3
  %block64 = zext i32 %block to i64
  %out = getelementptr inbounds float, ptr addrspace(1) %sums, i64 %block64 ; without same-output
; with same-output:   %out = getelementptr inbounds float, ptr addrspace(1) %sums, i64 0
  store float %s2, ptr addrspace(1) %out, align 4
  br label %done

done:
  ret void
}

attributes #0 = { "nvvm.maxntid"="128" }

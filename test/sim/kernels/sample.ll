; The kernels of test/runtime/SampleKernels.c for a GPU: those of the entry
; forward in full, blocks of 32 threads; the others only take their parameters.
target triple = "nvptx64-nvidia-cuda"

@shared_memory = external addrspace(3) global [0 x i8], align 1024

declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.ctaid.y()
declare void @llvm.nvvm.bar.warp.sync(i32)
declare float @llvm.exp.f32(float)

; hidden[b, t, :] = embed[ids[b, t], :] * mask[b, t] + cos[t, 0]
define ptx_kernel void @sample_embed(ptr addrspace(1) %ids, ptr addrspace(1) %mask, ptr addrspace(1) %cos, ptr addrspace(1) %embed, ptr addrspace(1) %hidden, i64 %t, i64 %d, i64 %width) #0 {
entry:
  %tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %i = zext i32 %tid to i64
  %x32 = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
  %x = zext i32 %x32 to i64
  %y32 = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.y()
  %y = zext i32 %y32 to i64
  %inside = icmp slt i64 %i, %d ; without past-row
; with past-row:   %inside = icmp sle i64 %i, %d
  br i1 %inside, label %work, label %done

work:
  %row = mul i64 %y, %t
  %token = add i64 %row, %x
  %id.at = getelementptr inbounds i32, ptr addrspace(1) %ids, i64 %token
  %id32 = load i32, ptr addrspace(1) %id.at, align 4
  %id = sext i32 %id32 to i64
  %mask.at = getelementptr inbounds float, ptr addrspace(1) %mask, i64 %token
  %m = load float, ptr addrspace(1) %mask.at, align 4
  %cos.index = mul i64 %x, %width
  %cos.at = getelementptr inbounds float, ptr addrspace(1) %cos, i64 %cos.index
  %c = load float, ptr addrspace(1) %cos.at, align 4
  %embed.row = mul i64 %id, %d
  %embed.index = add i64 %embed.row, %i
  %embed.at = getelementptr inbounds float, ptr addrspace(1) %embed, i64 %embed.index
  %e = load float, ptr addrspace(1) %embed.at, align 4
  %product = fmul float %e, %m
  %sum = fadd float %product, %c
  %hidden.row = mul i64 %token, %d
  %hidden.index = add i64 %hidden.row, %i
  %hidden.at = getelementptr inbounds float, ptr addrspace(1) %hidden, i64 %hidden.index
  store float %sum, ptr addrspace(1) %hidden.at, align 4 ; without no-store
  br label %done

done:
  ret void
}

; logits[r, v] = exp(scale[0]) * 2 * <hidden[r, :], embed[v, :]>
define ptx_kernel void @sample_logits(ptr addrspace(1) %hidden, ptr addrspace(1) %embed, ptr addrspace(1) %scale, ptr addrspace(1) %logits, i64 %d, i64 %v) #0 {
entry:
  %tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %x32 = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
  %x = zext i32 %x32 to i64
  %y32 = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.y()
  %y = zext i32 %y32 to i64
  %lane = zext i32 %tid to i64
  ; Each lane takes a product to shared memory, the first one adds them up.
  %place = getelementptr inbounds float, ptr addrspace(3) @shared_memory, i64 %lane
  %inside = icmp slt i64 %lane, %d
  br i1 %inside, label %multiply, label %meet

multiply:
  %hidden.row = mul i64 %y, %d
  %hidden.index = add i64 %hidden.row, %lane
  %hidden.at = getelementptr inbounds float, ptr addrspace(1) %hidden, i64 %hidden.index
  %h = load float, ptr addrspace(1) %hidden.at, align 4
  %embed.row = mul i64 %x, %d
  %embed.index = add i64 %embed.row, %lane
  %embed.at = getelementptr inbounds float, ptr addrspace(1) %embed, i64 %embed.index
  %e = load float, ptr addrspace(1) %embed.at, align 4
  %p = fmul float %h, %e
  store float %p, ptr addrspace(3) %place, align 4
  br label %meet

meet:
  call void @llvm.nvvm.bar.warp.sync(i32 -1) ; without missing-barrier
  %first = icmp eq i32 %tid, 0
  br i1 %first, label %loop, label %done

loop:
  %i = phi i64 [ 0, %meet ], [ %i1, %loop ]
  %sum = phi float [ 0.0, %meet ], [ %sum1, %loop ]
  %at = getelementptr inbounds float, ptr addrspace(3) @shared_memory, i64 %i
  %q = load float, ptr addrspace(3) %at, align 4
  %sum1 = fadd float %sum, %q
  %i1 = add i64 %i, 1
  %more = icmp slt i64 %i1, %d
  br i1 %more, label %loop, label %store

store:
  %s = load float, ptr addrspace(1) %scale, align 4
  %exp = call float @llvm.exp.f32(float %s)
  %twice = fmul float %exp, 2.0
  %logit = fmul float %twice, %sum1
  %logits.row = mul i64 %y, %v
  %logits.index = add i64 %logits.row, %x
  %logits.at = getelementptr inbounds float, ptr addrspace(1) %logits, i64 %logits.index
  store float %logit, ptr addrspace(1) %logits.at, align 4
  br label %done

done:
  ret void
}

define ptx_kernel void @sample_scan(ptr addrspace(1) %a, ptr addrspace(1) %b, ptr addrspace(1) %c, ptr addrspace(1) %d, ptr addrspace(1) %e, i64 %f, i64 %g, i64 %h, i64 %i) #0 {
  ret void
}
define ptx_kernel void @sample_shift(ptr addrspace(1) %a, i64 %b, i64 %c) #0 {
  ret void
}
define ptx_kernel void @sample_gradient(ptr addrspace(1) %a, ptr addrspace(1) %b, ptr addrspace(1) %c, i64 %d, i64 %e) #0 {
  ret void
}
define ptx_kernel void @sample_update(ptr addrspace(1) %a, ptr addrspace(1) %b, ptr addrspace(1) %c, ptr addrspace(1) %d, ptr addrspace(1) %e, ptr addrspace(1) %f, ptr addrspace(1) %g, i64 %h) #0 {
  ret void
}

attributes #0 = { "nvvm.maxntid"="32" }

; D = A B^T by four warps: A [64, 64] and B [8, 64] in bf16 come by tensor loads
; with 128 byte swizzle, D [64, 8] in float leaves by a tensor store. On the way
; each thread writes 16 bytes of A again, as they are, so that the tensor cores
; read what threads wrote.
; Parameters: tensor maps of A, B and D.
target triple = "nvptx64-nvidia-cuda"

; A at byte 0, B at 8192, D at 9216, an mbarrier at 11264
@shared_memory = external addrspace(3) global [0 x i8], align 1024

declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32)
declare void @llvm.nvvm.mbarrier.init.shared(ptr addrspace(3), i32)
declare i64 @llvm.nvvm.mbarrier.arrive.expect.tx.scope.cta.space.cta(ptr addrspace(3), i32)
declare void @llvm.nvvm.fence.mbarrier_init.release.cluster()
declare void @llvm.nvvm.fence.proxy.async.shared_cta()
declare void @llvm.nvvm.cp.async.bulk.tensor.g2s.cta.tile.2d(ptr addrspace(3), ptr addrspace(3), ptr, i32, i32, i64, i1)
declare void @llvm.nvvm.cp.async.bulk.tensor.s2g.tile.2d(ptr addrspace(3), ptr, i32, i32, i64, i1)
declare void @llvm.nvvm.cp.async.bulk.commit.group()
declare void @llvm.nvvm.cp.async.bulk.wait.group(i32)
declare void @llvm.nvvm.wgmma.fence.sync.aligned()
declare void @llvm.nvvm.wgmma.commit_group.sync.aligned()
declare void @llvm.nvvm.wgmma.wait_group.sync.aligned(i64)

define ptx_kernel void @tma_wgmma(ptr byval([128 x i8]) align 64 "nvvm.grid_constant" %a, ptr byval([128 x i8]) align 64 "nvvm.grid_constant" %b, ptr byval([128 x i8]) align 64 "nvvm.grid_constant" %d) #0 {
entry:
  %tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %leads = icmp eq i32 %tid, 0
  %a.at = getelementptr inbounds i8, ptr addrspace(3) @shared_memory, i64 0
  %b.at = getelementptr inbounds i8, ptr addrspace(3) @shared_memory, i64 8192
  %d.at = getelementptr inbounds i8, ptr addrspace(3) @shared_memory, i64 9216
  %barrier = getelementptr inbounds i8, ptr addrspace(3) @shared_memory, i64 11264
  br i1 %leads, label %init, label %ready

init:
  call void @llvm.nvvm.mbarrier.init.shared(ptr addrspace(3) %barrier, i32 1)
  call void @llvm.nvvm.fence.mbarrier_init.release.cluster() ; without missing-init-fence
  br label %ready

ready:
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0) ; without missing-init-barrier
  br i1 %leads, label %load, label %wait

load:
  %state = call i64 @llvm.nvvm.mbarrier.arrive.expect.tx.scope.cta.space.cta(ptr addrspace(3) %barrier, i32 9216) ; without too-few-bytes
; with too-few-bytes:   %state = call i64 @llvm.nvvm.mbarrier.arrive.expect.tx.scope.cta.space.cta(ptr addrspace(3) %barrier, i32 8192)
; with too-many-bytes:   %more = call i64 @llvm.nvvm.mbarrier.arrive.expect.tx.scope.cta.space.cta(ptr addrspace(3) %barrier, i32 1024)
  call void @llvm.nvvm.cp.async.bulk.tensor.g2s.cta.tile.2d(ptr addrspace(3) %b.at, ptr addrspace(3) %barrier, ptr %b, i32 0, i32 0, i64 0, i1 false)
  call void @llvm.nvvm.cp.async.bulk.tensor.g2s.cta.tile.2d(ptr addrspace(3) %a.at, ptr addrspace(3) %barrier, ptr %a, i32 0, i32 0, i64 0, i1 false)
  br label %wait

wait:
  call void asm sideeffect "{\0A\09.reg .pred       P1; \0A\09LAB_WAIT: \0A\09mbarrier.try_wait.parity.shared.b64 P1, [$0], $1, $2; \0A\09@P1 bra.uni DONE; \0A\09bra.uni     LAB_WAIT; \0A\09DONE: \0A\09}", "r,r,r"(ptr addrspace(3) %barrier, i32 0, i32 1000000) ; without missing-wait
  %again.at = getelementptr inbounds <4 x i32>, ptr addrspace(3) %a.at, i32 %tid
  %again = load <4 x i32>, ptr addrspace(3) %again.at, align 16
  store <4 x i32> %again, ptr addrspace(3) %again.at, align 16
  call void @llvm.nvvm.fence.proxy.async.shared_cta() ; without missing-proxy-fence
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0) ; without missing-write-barrier
  call void @llvm.nvvm.wgmma.fence.sync.aligned() ; without missing-wgmma-fence
  %a.int = ptrtoint ptr addrspace(3) %a.at to i64
  %a.start = lshr i64 %a.int, 4
  %b.int = ptrtoint ptr addrspace(3) %b.at to i64
  %b.start = lshr i64 %b.int, 4
  %a.desc = or i64 %a.start, 4611686293305360384 ; without wrong-stride
; with wrong-stride:   %a.desc = or i64 %a.start, 4611686155866406912
  %b.desc = or i64 %b.start, 4611686293305360384
  %a.0 = add i64 %a.desc, 0
  %b.0 = add i64 %b.desc, 0
  %w.0 = call { float, float, float, float } asm sideeffect "{\0A.reg .pred p;\0Asetp.ne.b32 p, $10, 0;\0Awgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {$0, $1, $2, $3}, $8, $9, p, $11,  $12, $13,  $14;\0A}\0A", "=f,=f,=f,=f,0,1,2,3,l,l,n,n,n,n,n"(float 0.0, float 0.0, float 0.0, float 0.0, i64 %a.0, i64 %b.0, i32 0, i32 1, i32 1, i32 0, i32 0)
  %w.0.0 = extractvalue { float, float, float, float } %w.0, 0
  %w.0.1 = extractvalue { float, float, float, float } %w.0, 1
  %w.0.2 = extractvalue { float, float, float, float } %w.0, 2
  %w.0.3 = extractvalue { float, float, float, float } %w.0, 3
  %a.1 = add i64 %a.desc, 2
  %b.1 = add i64 %b.desc, 2
  %w.1 = call { float, float, float, float } asm sideeffect "{\0A.reg .pred p;\0Asetp.ne.b32 p, $10, 0;\0Awgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {$0, $1, $2, $3}, $8, $9, p, $11,  $12, $13,  $14;\0A}\0A", "=f,=f,=f,=f,0,1,2,3,l,l,n,n,n,n,n"(float %w.0.0, float %w.0.1, float %w.0.2, float %w.0.3, i64 %a.1, i64 %b.1, i32 1, i32 1, i32 1, i32 0, i32 0)
  %w.1.0 = extractvalue { float, float, float, float } %w.1, 0
  %w.1.1 = extractvalue { float, float, float, float } %w.1, 1
  %w.1.2 = extractvalue { float, float, float, float } %w.1, 2
  %w.1.3 = extractvalue { float, float, float, float } %w.1, 3
  %a.2 = add i64 %a.desc, 4
  %b.2 = add i64 %b.desc, 4
  %w.2 = call { float, float, float, float } asm sideeffect "{\0A.reg .pred p;\0Asetp.ne.b32 p, $10, 0;\0Awgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {$0, $1, $2, $3}, $8, $9, p, $11,  $12, $13,  $14;\0A}\0A", "=f,=f,=f,=f,0,1,2,3,l,l,n,n,n,n,n"(float %w.1.0, float %w.1.1, float %w.1.2, float %w.1.3, i64 %a.2, i64 %b.2, i32 1, i32 1, i32 1, i32 0, i32 0)
  %w.2.0 = extractvalue { float, float, float, float } %w.2, 0
  %w.2.1 = extractvalue { float, float, float, float } %w.2, 1
  %w.2.2 = extractvalue { float, float, float, float } %w.2, 2
  %w.2.3 = extractvalue { float, float, float, float } %w.2, 3
  %a.3 = add i64 %a.desc, 6
  %b.3 = add i64 %b.desc, 6
  %w.3 = call { float, float, float, float } asm sideeffect "{\0A.reg .pred p;\0Asetp.ne.b32 p, $10, 0;\0Awgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {$0, $1, $2, $3}, $8, $9, p, $11,  $12, $13,  $14;\0A}\0A", "=f,=f,=f,=f,0,1,2,3,l,l,n,n,n,n,n"(float %w.2.0, float %w.2.1, float %w.2.2, float %w.2.3, i64 %a.3, i64 %b.3, i32 1, i32 1, i32 1, i32 0, i32 0)
  %w.3.0 = extractvalue { float, float, float, float } %w.3, 0
  %w.3.1 = extractvalue { float, float, float, float } %w.3, 1
  %w.3.2 = extractvalue { float, float, float, float } %w.3, 2
  %w.3.3 = extractvalue { float, float, float, float } %w.3, 3
  call void @llvm.nvvm.wgmma.commit_group.sync.aligned()
  call void @llvm.nvvm.wgmma.wait_group.sync.aligned(i64 0) ; without missing-wgmma-wait
  store <4 x i32> zeroinitializer, ptr addrspace(3) %again.at, align 16
  %warp = lshr i32 %tid, 5
  %warp.row = mul i32 %warp, 16
  %lane = and i32 %tid, 31
  %group = lshr i32 %lane, 2
  %row = add i32 %warp.row, %group
  %in.group = and i32 %lane, 3
  %column = mul i32 %in.group, 2
  %row.start = mul i32 %row, 8
  %index = add i32 %row.start, %column
  %out.0 = getelementptr inbounds float, ptr addrspace(3) %d.at, i32 %index
  %out.1 = getelementptr inbounds float, ptr addrspace(3) %out.0, i32 64
  %low.0 = insertelement <2 x float> poison, float %w.3.0, i32 0
  %low = insertelement <2 x float> %low.0, float %w.3.1, i32 1
  %high.0 = insertelement <2 x float> poison, float %w.3.2, i32 0
  %high = insertelement <2 x float> %high.0, float %w.3.3, i32 1
  store <2 x float> %low, ptr addrspace(3) %out.0, align 8
  store <2 x float> %high, ptr addrspace(3) %out.1, align 8
  call void @llvm.nvvm.fence.proxy.async.shared_cta() ; without missing-store-fence
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0) ; without missing-store-barrier
  br i1 %leads, label %store, label %done

store:
  call void @llvm.nvvm.cp.async.bulk.tensor.s2g.tile.2d(ptr addrspace(3) %d.at, ptr %d, i32 0, i32 0, i64 0, i1 false)
  call void @llvm.nvvm.cp.async.bulk.commit.group()
  call void @llvm.nvvm.cp.async.bulk.wait.group(i32 0) ; without missing-store-wait
  br label %done

done:
  ret void
}

attributes #0 = { "nvvm.maxntid"="128" }

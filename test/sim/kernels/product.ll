; C = A B^T by one warp: A [16, 64] and B [8, 64] in bf16, C [16, 8] in float.
; Rows of 128 bytes lie in shared memory with their 16-byte chunks exchanged:
; chunk c of row r is at c ^ (r & 7), so that ldmatrix meets no bank twice.
; Parameters: a, b, c.
target triple = "nvptx64-nvidia-cuda"

@rows = internal addrspace(3) global [24 x [128 x i8]] undef, align 1024

declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare void @llvm.nvvm.bar.warp.sync(i32)
declare { i32, i32, i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3(ptr addrspace(3))
declare { i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x2.b16.p3(ptr addrspace(3))
declare { float, float, float, float } @llvm.nvvm.mma.m16n8k16.row.col.bf16(i32, i32, i32, i32, i32, i32, float, float, float, float)

define ptx_kernel void @product(ptr addrspace(1) %a, ptr addrspace(1) %b, ptr addrspace(1) %c) #0 {
  %lane = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %chunk = and i32 %lane, 7
  %row0 = lshr i32 %lane, 3
  ; rows 0 to 3
  %row.0 = add i32 %row0, 0
  %swizzle.0 = and i32 %row.0, 7 ; without no-swizzle
; with no-swizzle:   %swizzle.0 = and i32 %row.0, 0
  %to.chunk.0 = xor i32 %chunk, %swizzle.0
  %to.row.0 = mul i32 %row.0, 8
  %to.index.0 = add i32 %to.row.0, %to.chunk.0
  %to.0 = getelementptr inbounds <4 x i32>, ptr addrspace(3) @rows, i32 %to.index.0
  %from.index.0 = add i32 %lane, 0
  %from.0 = getelementptr inbounds <4 x i32>, ptr addrspace(1) %a, i32 %from.index.0
  %value.0 = load <4 x i32>, ptr addrspace(1) %from.0, align 16
  store <4 x i32> %value.0, ptr addrspace(3) %to.0, align 16
  ; rows 4 to 7
  %row.1 = add i32 %row0, 4
  %swizzle.1 = and i32 %row.1, 7 ; without no-swizzle
; with no-swizzle:   %swizzle.1 = and i32 %row.1, 0
  %to.chunk.1 = xor i32 %chunk, %swizzle.1
  %to.row.1 = mul i32 %row.1, 8
  %to.index.1 = add i32 %to.row.1, %to.chunk.1
  %to.1 = getelementptr inbounds <4 x i32>, ptr addrspace(3) @rows, i32 %to.index.1
  %from.index.1 = add i32 %lane, 32
  %from.1 = getelementptr inbounds <4 x i32>, ptr addrspace(1) %a, i32 %from.index.1
  %value.1 = load <4 x i32>, ptr addrspace(1) %from.1, align 16
  store <4 x i32> %value.1, ptr addrspace(3) %to.1, align 16
  ; rows 8 to 11
  %row.2 = add i32 %row0, 8
  %swizzle.2 = and i32 %row.2, 7 ; without no-swizzle
; with no-swizzle:   %swizzle.2 = and i32 %row.2, 0
  %to.chunk.2 = xor i32 %chunk, %swizzle.2
  %to.row.2 = mul i32 %row.2, 8
  %to.index.2 = add i32 %to.row.2, %to.chunk.2
  %to.2 = getelementptr inbounds <4 x i32>, ptr addrspace(3) @rows, i32 %to.index.2
  %from.index.2 = add i32 %lane, 64
  %from.2 = getelementptr inbounds <4 x i32>, ptr addrspace(1) %a, i32 %from.index.2
  %value.2 = load <4 x i32>, ptr addrspace(1) %from.2, align 16
  store <4 x i32> %value.2, ptr addrspace(3) %to.2, align 16
  ; rows 12 to 15
  %row.3 = add i32 %row0, 12
  %swizzle.3 = and i32 %row.3, 7 ; without no-swizzle
; with no-swizzle:   %swizzle.3 = and i32 %row.3, 0
  %to.chunk.3 = xor i32 %chunk, %swizzle.3
  %to.row.3 = mul i32 %row.3, 8
  %to.index.3 = add i32 %to.row.3, %to.chunk.3
  %to.3 = getelementptr inbounds <4 x i32>, ptr addrspace(3) @rows, i32 %to.index.3
  %from.index.3 = add i32 %lane, 96
  %from.3 = getelementptr inbounds <4 x i32>, ptr addrspace(1) %a, i32 %from.index.3
  %value.3 = load <4 x i32>, ptr addrspace(1) %from.3, align 16
  store <4 x i32> %value.3, ptr addrspace(3) %to.3, align 16
  ; rows 16 to 19
  %row.4 = add i32 %row0, 16
  %swizzle.4 = and i32 %row.4, 7 ; without no-swizzle
; with no-swizzle:   %swizzle.4 = and i32 %row.4, 0
  %to.chunk.4 = xor i32 %chunk, %swizzle.4
  %to.row.4 = mul i32 %row.4, 8
  %to.index.4 = add i32 %to.row.4, %to.chunk.4
  %to.4 = getelementptr inbounds <4 x i32>, ptr addrspace(3) @rows, i32 %to.index.4
  %from.index.4 = add i32 %lane, 0
  %from.4 = getelementptr inbounds <4 x i32>, ptr addrspace(1) %b, i32 %from.index.4
  %value.4 = load <4 x i32>, ptr addrspace(1) %from.4, align 16
  store <4 x i32> %value.4, ptr addrspace(3) %to.4, align 16
  ; rows 20 to 23
  %row.5 = add i32 %row0, 20
  %swizzle.5 = and i32 %row.5, 7 ; without no-swizzle
; with no-swizzle:   %swizzle.5 = and i32 %row.5, 0
  %to.chunk.5 = xor i32 %chunk, %swizzle.5
  %to.row.5 = mul i32 %row.5, 8
  %to.index.5 = add i32 %to.row.5, %to.chunk.5
  %to.5 = getelementptr inbounds <4 x i32>, ptr addrspace(3) @rows, i32 %to.index.5
  %from.index.5 = add i32 %lane, 32
  %from.5 = getelementptr inbounds <4 x i32>, ptr addrspace(1) %b, i32 %from.index.5
  %value.5 = load <4 x i32>, ptr addrspace(1) %from.5, align 16
  store <4 x i32> %value.5, ptr addrspace(3) %to.5, align 16
  call void @llvm.nvvm.bar.warp.sync(i32 -1) ; without missing-barrier
  %a.row = and i32 %lane, 15
  %a.half = lshr i32 %lane, 4
  %b.row = and i32 %lane, 7
  %b.half8 = lshr i32 %lane, 3
  %b.half = and i32 %b.half8, 1
  %a.keep = add i32 0, 7 ; without wrong-swizzle
; with wrong-swizzle:   %a.keep = add i32 0, 3
  %keep = add i32 0, 7 ; without no-swizzle
; with no-swizzle:   %keep = add i32 0, 0
  %a.keep2 = and i32 %a.keep, %keep
  %a.swizzle = and i32 %lane, %a.keep2
  %b.swizzle = and i32 %lane, %keep
  ; k = 0 to 15
  %a.chunk.0 = add i32 %a.half, 0
  %a.place.0 = xor i32 %a.chunk.0, %a.swizzle
  %a.line.0 = add i32 %a.row, 0
  %a.start.0 = mul i32 %a.line.0, 8
  %a.index.0 = add i32 %a.start.0, %a.place.0
  %a.at.0 = getelementptr inbounds <4 x i32>, ptr addrspace(3) @rows, i32 %a.index.0
  %b.chunk.0 = add i32 %b.half, 0
  %b.place.0 = xor i32 %b.chunk.0, %b.swizzle
  %b.line.0 = add i32 %b.row, 16
  %b.start.0 = mul i32 %b.line.0, 8
  %b.index.0 = add i32 %b.start.0, %b.place.0
  %b.at.0 = getelementptr inbounds <4 x i32>, ptr addrspace(3) @rows, i32 %b.index.0
  %a.0 = call { i32, i32, i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3(ptr addrspace(3) %a.at.0)
  %b.0 = call { i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x2.b16.p3(ptr addrspace(3) %b.at.0)
  %a.0.0 = extractvalue { i32, i32, i32, i32 } %a.0, 0
  %a.0.1 = extractvalue { i32, i32, i32, i32 } %a.0, 1
  %a.0.2 = extractvalue { i32, i32, i32, i32 } %a.0, 2
  %a.0.3 = extractvalue { i32, i32, i32, i32 } %a.0, 3
  %b.0.0 = extractvalue { i32, i32 } %b.0, 0
  %b.0.1 = extractvalue { i32, i32 } %b.0, 1
  %d.0 = call { float, float, float, float } @llvm.nvvm.mma.m16n8k16.row.col.bf16(i32 %a.0.0, i32 %a.0.1, i32 %a.0.2, i32 %a.0.3, i32 %b.0.0, i32 %b.0.1, float 0.0, float 0.0, float 0.0, float 0.0)
  %d.0.0 = extractvalue { float, float, float, float } %d.0, 0
  %d.0.1 = extractvalue { float, float, float, float } %d.0, 1
  %d.0.2 = extractvalue { float, float, float, float } %d.0, 2
  %d.0.3 = extractvalue { float, float, float, float } %d.0, 3
  ; k = 16 to 31
  %a.chunk.1 = add i32 %a.half, 2
  %a.place.1 = xor i32 %a.chunk.1, %a.swizzle
  %a.line.1 = add i32 %a.row, 0
  %a.start.1 = mul i32 %a.line.1, 8
  %a.index.1 = add i32 %a.start.1, %a.place.1
  %a.at.1 = getelementptr inbounds <4 x i32>, ptr addrspace(3) @rows, i32 %a.index.1
  %b.chunk.1 = add i32 %b.half, 2
  %b.place.1 = xor i32 %b.chunk.1, %b.swizzle
  %b.line.1 = add i32 %b.row, 16
  %b.start.1 = mul i32 %b.line.1, 8
  %b.index.1 = add i32 %b.start.1, %b.place.1
  %b.at.1 = getelementptr inbounds <4 x i32>, ptr addrspace(3) @rows, i32 %b.index.1
  %a.1 = call { i32, i32, i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3(ptr addrspace(3) %a.at.1)
  %b.1 = call { i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x2.b16.p3(ptr addrspace(3) %b.at.1)
  %a.1.0 = extractvalue { i32, i32, i32, i32 } %a.1, 0
  %a.1.1 = extractvalue { i32, i32, i32, i32 } %a.1, 1
  %a.1.2 = extractvalue { i32, i32, i32, i32 } %a.1, 2
  %a.1.3 = extractvalue { i32, i32, i32, i32 } %a.1, 3
  %b.1.0 = extractvalue { i32, i32 } %b.1, 0
  %b.1.1 = extractvalue { i32, i32 } %b.1, 1
  %d.1 = call { float, float, float, float } @llvm.nvvm.mma.m16n8k16.row.col.bf16(i32 %a.1.0, i32 %a.1.1, i32 %a.1.2, i32 %a.1.3, i32 %b.1.0, i32 %b.1.1, float %d.0.0, float %d.0.1, float %d.0.2, float %d.0.3)
  %d.1.0 = extractvalue { float, float, float, float } %d.1, 0
  %d.1.1 = extractvalue { float, float, float, float } %d.1, 1
  %d.1.2 = extractvalue { float, float, float, float } %d.1, 2
  %d.1.3 = extractvalue { float, float, float, float } %d.1, 3
  ; k = 32 to 47
  %a.chunk.2 = add i32 %a.half, 4
  %a.place.2 = xor i32 %a.chunk.2, %a.swizzle
  %a.line.2 = add i32 %a.row, 0
  %a.start.2 = mul i32 %a.line.2, 8
  %a.index.2 = add i32 %a.start.2, %a.place.2
  %a.at.2 = getelementptr inbounds <4 x i32>, ptr addrspace(3) @rows, i32 %a.index.2
  %b.chunk.2 = add i32 %b.half, 4
  %b.place.2 = xor i32 %b.chunk.2, %b.swizzle
  %b.line.2 = add i32 %b.row, 16
  %b.start.2 = mul i32 %b.line.2, 8
  %b.index.2 = add i32 %b.start.2, %b.place.2
  %b.at.2 = getelementptr inbounds <4 x i32>, ptr addrspace(3) @rows, i32 %b.index.2
  %a.2 = call { i32, i32, i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3(ptr addrspace(3) %a.at.2)
  %b.2 = call { i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x2.b16.p3(ptr addrspace(3) %b.at.2)
  %a.2.0 = extractvalue { i32, i32, i32, i32 } %a.2, 0
  %a.2.1 = extractvalue { i32, i32, i32, i32 } %a.2, 1
  %a.2.2 = extractvalue { i32, i32, i32, i32 } %a.2, 2
  %a.2.3 = extractvalue { i32, i32, i32, i32 } %a.2, 3
  %b.2.0 = extractvalue { i32, i32 } %b.2, 0
  %b.2.1 = extractvalue { i32, i32 } %b.2, 1
  %d.2 = call { float, float, float, float } @llvm.nvvm.mma.m16n8k16.row.col.bf16(i32 %a.2.0, i32 %a.2.1, i32 %a.2.2, i32 %a.2.3, i32 %b.2.0, i32 %b.2.1, float %d.1.0, float %d.1.1, float %d.1.2, float %d.1.3)
  %d.2.0 = extractvalue { float, float, float, float } %d.2, 0
  %d.2.1 = extractvalue { float, float, float, float } %d.2, 1
  %d.2.2 = extractvalue { float, float, float, float } %d.2, 2
  %d.2.3 = extractvalue { float, float, float, float } %d.2, 3
  ; k = 48 to 63
  %a.chunk.3 = add i32 %a.half, 6
  %a.place.3 = xor i32 %a.chunk.3, %a.swizzle
  %a.line.3 = add i32 %a.row, 0
  %a.start.3 = mul i32 %a.line.3, 8
  %a.index.3 = add i32 %a.start.3, %a.place.3
  %a.at.3 = getelementptr inbounds <4 x i32>, ptr addrspace(3) @rows, i32 %a.index.3
  %b.chunk.3 = add i32 %b.half, 6
  %b.place.3 = xor i32 %b.chunk.3, %b.swizzle
  %b.line.3 = add i32 %b.row, 16
  %b.start.3 = mul i32 %b.line.3, 8
  %b.index.3 = add i32 %b.start.3, %b.place.3
  %b.at.3 = getelementptr inbounds <4 x i32>, ptr addrspace(3) @rows, i32 %b.index.3
  %a.3 = call { i32, i32, i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3(ptr addrspace(3) %a.at.3)
  %b.3 = call { i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x2.b16.p3(ptr addrspace(3) %b.at.3)
  %a.3.0 = extractvalue { i32, i32, i32, i32 } %a.3, 0
  %a.3.1 = extractvalue { i32, i32, i32, i32 } %a.3, 1
  %a.3.2 = extractvalue { i32, i32, i32, i32 } %a.3, 2
  %a.3.3 = extractvalue { i32, i32, i32, i32 } %a.3, 3
  %b.3.0 = extractvalue { i32, i32 } %b.3, 0
  %b.3.1 = extractvalue { i32, i32 } %b.3, 1
  %d.3 = call { float, float, float, float } @llvm.nvvm.mma.m16n8k16.row.col.bf16(i32 %a.3.0, i32 %a.3.1, i32 %a.3.2, i32 %a.3.3, i32 %b.3.0, i32 %b.3.1, float %d.2.0, float %d.2.1, float %d.2.2, float %d.2.3)
  %d.3.0 = extractvalue { float, float, float, float } %d.3, 0
  %d.3.1 = extractvalue { float, float, float, float } %d.3, 1
  %d.3.2 = extractvalue { float, float, float, float } %d.3, 2
  %d.3.3 = extractvalue { float, float, float, float } %d.3, 3
  %group = lshr i32 %lane, 2
  %in.group = and i32 %lane, 3
  %out.column = mul i32 %in.group, 2
  %out.row = mul i32 %group, 8
  %out.index = add i32 %out.row, %out.column
  %out.0 = getelementptr inbounds float, ptr addrspace(1) %c, i32 %out.index
  %out.1 = getelementptr inbounds float, ptr addrspace(1) %out.0, i32 64
  %low.0 = insertelement <2 x float> poison, float %d.3.0, i32 0
  %low = insertelement <2 x float> %low.0, float %d.3.1, i32 1
  %high.0 = insertelement <2 x float> poison, float %d.3.2, i32 0
  %high = insertelement <2 x float> %high.0, float %d.3.3, i32 1
  store <2 x float> %low, ptr addrspace(1) %out.0, align 8
  store <2 x float> %high, ptr addrspace(1) %out.1, align 8
  ret void
}

attributes #0 = { "nvvm.maxntid"="32" }

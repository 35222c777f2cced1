; y[i] = x[i] for i < n, four at a time, with guarded inline PTX as codegen/nvptx
; emits it; 32 threads, one block.
; Parameters: x [n], y [n], n.
target triple = "nvptx64-nvidia-cuda"

declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()

define ptx_kernel void @inline_ptx(ptr addrspace(1) %x, ptr addrspace(1) %y, i64 %n) #0 {
  %tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %tid64 = zext i32 %tid to i64
  %first = mul i64 %tid64, 4
  %inside = icmp slt i64 %first, %n ; without wrong-guard
; with wrong-guard:   %inside = icmp sle i64 %first, %n
  %from = getelementptr float, ptr addrspace(1) %x, i64 %first
  %to = getelementptr float, ptr addrspace(1) %y, i64 %first
  %from.int = ptrtoint ptr addrspace(1) %from to i64
  %four = call { i32, i32, i32, i32 } asm sideeffect "mov.b32 $0, 0; mov.b32 $1, 0; mov.b32 $2, 0; mov.b32 $3, 0; @$5 ld.global.v4.b32 {$0, $1, $2, $3}, [$4];", "=r,=r,=r,=r,l,b,~{memory}"(i64 %from.int, i1 %inside)
  %v0 = extractvalue { i32, i32, i32, i32 } %four, 0
  %v1 = extractvalue { i32, i32, i32, i32 } %four, 1
  %v2 = extractvalue { i32, i32, i32, i32 } %four, 2
  %v3 = extractvalue { i32, i32, i32, i32 } %four, 3
  call void asm sideeffect "{ .reg .pred p;\0A\09setp.ne.b32 p, $1, 0;\0A\09@p st.global.v4.b32 [$0], {$2, $3, $4, $5}; }", "l,r,r,r,r,r,~{memory}"(ptr addrspace(1) %to, i1 %inside, i32 %v0, i32 %v1, i32 %v2, i32 %v3)
  ret void
}

attributes #0 = { "nvvm.maxntid"="32" }

; Three groups of four warps, 168 registers a thread at launch: the first gives
; 128 of them, of which the others take 64 each.
; Parameters: y [384].
target triple = "nvptx64-nvidia-cuda"

declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare void @llvm.nvvm.setmaxnreg.dec.sync.aligned.u32(i32)
declare void @llvm.nvvm.setmaxnreg.inc.sync.aligned.u32(i32)

define ptx_kernel void @registers(ptr addrspace(1) %y) #0 {
entry:
  %tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %gives = icmp ult i32 %tid, 128
  br i1 %gives, label %give, label %take

give:
  call void @llvm.nvvm.setmaxnreg.dec.sync.aligned.u32(i32 40) ; without too-little-given
; with too-little-given:   call void @llvm.nvvm.setmaxnreg.dec.sync.aligned.u32(i32 64)
  br label %done

take:
  call void @llvm.nvvm.setmaxnreg.inc.sync.aligned.u32(i32 232) ; without wrong-direction
; with wrong-direction:   call void @llvm.nvvm.setmaxnreg.dec.sync.aligned.u32(i32 232)
  br label %done

done:
  %index = zext i32 %tid to i64
  %to = getelementptr inbounds i32, ptr addrspace(1) %y, i64 %index
  store i32 %tid, ptr addrspace(1) %to, align 4
  ret void
}

attributes #0 = { "nvvm.maxntid"="384" "nvvm.minctasm"="1" }

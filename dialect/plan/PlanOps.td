//===- PlanOps.td - Operations of the plan dialect ---------*- tablegen -*-===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_DIALECT_PLAN_PLANOPS_TD
#define TRANSXSSM_DIALECT_PLAN_PLANOPS_TD

include "dialect/plan/PlanDialect.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

// The order is that of BufferKind in runtime/package.fbs; a test compares them.
def Plan_Input : I32EnumAttrCase<"Input", 0, "input">;
def Plan_Output : I32EnumAttrCase<"Output", 1, "output">;
def Plan_Parameter : I32EnumAttrCase<"Parameter", 2, "parameter">;
def Plan_Gradient : I32EnumAttrCase<"Gradient", 3, "gradient">;
def Plan_Moment1 : I32EnumAttrCase<"Moment1", 4, "moment1">;
def Plan_Moment2 : I32EnumAttrCase<"Moment2", 5, "moment2">;
def Plan_State : I32EnumAttrCase<"State", 6, "state">;
def Plan_Temporary : I32EnumAttrCase<"Temporary", 7, "temporary">;
def Plan_Master : I32EnumAttrCase<"Master", 8, "master">;
def Plan_BufferKind : I32EnumAttr<"BufferKind", "where a buffer's bytes come from", [
    Plan_Input, Plan_Output, Plan_Parameter, Plan_Gradient, Plan_Moment1,
    Plan_Moment2, Plan_State, Plan_Temporary, Plan_Master]> {
  let cppNamespace = "::transxssm::plan";
}

def Plan_ParameterOp : Plan_Op<"parameter", [Symbol]> {
  let summary = "a parameter of the model, in checkpoint order";
  let description = [{
    Constraints:
    - (parameter_c1) the type is a ranked tensor of static shape.

    Example:
    ```mlir
    plan.parameter @model.layers.0.ssd.A tensor<8xf32> "ssd_decay"
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttr:$type,
                       StrAttr:$initializer);
  let assemblyFormat = "$sym_name $type $initializer attr-dict";
  let hasVerifier = 1;
}

def Plan_StateOp : Plan_Op<"state", [Symbol]> {
  let summary = "what a cache carries from call to call";
  let description = [{
    Constraints:
    - (state_c1) the shape map has no dimensions and four symbols.

    Example:
    ```mlir
    plan.state @ssd_state.0 affine_map<()[s0, s1, s2, s3] -> (s0, 8, 128, 128)> f32
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, AffineMapAttr:$shape,
                       TypeAttr:$element_type);
  let assemblyFormat = "$sym_name $shape $element_type attr-dict";
  let hasVerifier = 1;
}

def Plan_EntryOp : Plan_Op<"entry", [
    Symbol, IsolatedFromAbove, NoTerminator, SingleBlock]> {
  let summary = "one function of the model: buffers, then launches in order";
  let description = [{
    Constraints:
    - (entry_c1) the body has no arguments and holds buffers and launches only.
    - (entry_c2) every buffer is live at the launches that it is an operand of.

    Example:
    ```mlir
    plan.entry @forward {
      %x = plan.buffer input "x" affine_map<()[s0, s1, s2, s3] -> (s0, s1, 64)> f32 live 0 to 0
      %y = plan.buffer output "y" affine_map<()[s0, s1, s2, s3] -> (s0, s1, 64)> f32 live 0 to 0
      plan.launch @scale grid affine_map<()[s0, s1, s2, s3] -> ((s0 * s1) ceildiv 16)>
        (%x, %y) sizes affine_map<()[s0, s1, s2, s3] -> (s0 * s1, s0 * s1)>
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name attr-dict-with-keyword $body";
  let hasRegionVerifier = 1;
}

def Plan_BufferOp : Plan_Op<"buffer", [Pure, HasParent<"EntryOp">]> {
  let summary = "declares a buffer";
  let description = [{
    `name` is the input's, output's, parameter's or state's name, or says what a
    temporary holds. `first_use` and `last_use` count the entry's launches,
    inclusive; two temporaries whose ranges do not meet may share memory.

    Constraints:
    - (buffer_c1) the shape map has no dimensions and four symbols.
    - (buffer_c2) first_use <= last_use, both numbers of launches.
    - (buffer_c3) a parameter, gradient, moment or master names a
      `plan.parameter`, a state a `plan.state`, of the same shape. Parameters and
      states have its element type; a gradient, moment or master is float32 where
      the parameter is narrower.

    Example: see `plan.entry`.
  }];
  let arguments = (ins Plan_BufferKind:$kind, StrAttr:$name,
                       AffineMapAttr:$shape, TypeAttr:$element_type,
                       I64Attr:$first_use, I64Attr:$last_use);
  let results = (outs Plan_BufferType:$result);
  let assemblyFormat = [{
    $kind $name $shape $element_type `live` $first_use `to` $last_use attr-dict
  }];
  let hasVerifier = 1;
}

def Plan_LaunchOp : Plan_Op<"launch", [HasParent<"EntryOp">]> {
  let summary = "runs a kernel over a grid";
  let description = [{
    Operands are the kernel's memref arguments in order; `sizes` gives, in
    argument order, every dynamic dimension of the memrefs and every `index`
    argument. The launch is skipped unless every result of `when` is >= 0.
    `holds` says which value of the model each operand holds after the launch,
    by the names of `txs-name-operations`; empty for an operand that the kernel
    only reads.

    Constraints:
    - (launch_c1) every map has no dimensions and four symbols; the grid has one
      to three extents.
    - (launch_c2) the kernel exists and takes as many memrefs and sizes.
    - (launch_c3) each operand's element type is that of the kernel's memref.
    - (launch_c4) `holds` has one name for each operand.

    Example: see `plan.entry`.
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, AffineMapAttr:$grid,
                       Variadic<Plan_BufferType>:$operands,
                       AffineMapAttr:$sizes, OptionalAttr<AffineMapAttr>:$when,
                       OptionalAttr<StrArrayAttr>:$holds);
  let assemblyFormat = [{
    $kernel `grid` $grid `(` $operands `)` `sizes` $sizes (`when` $when^)? attr-dict
  }];
  let hasVerifier = 1;
}

#endif // TRANSXSSM_DIALECT_PLAN_PLANOPS_TD

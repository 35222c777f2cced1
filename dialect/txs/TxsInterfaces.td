//===- TxsInterfaces.td - Interfaces of the txs operations -*- tablegen -*-===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_DIALECT_TXS_TXSINTERFACES_TD
#define TRANSXSSM_DIALECT_TXS_TXSINTERFACES_TD

include "mlir/IR/OpBase.td"

def Txs_DifferentiableOpInterface : OpInterface<"DifferentiableOpInterface"> {
  let cppNamespace = "::transxssm::txs";
  let description = [{
    An operation that can build the operations of its own gradient: reverse mode,
    one operation at a time.
  }];
  let methods = [InterfaceMethod<[{
      Builds the gradients of the operands from those of the results.
      `resultGradients` has one value per result, null where the loss does not
      depend on it; at least one is not null. `operandGradients` comes with one
      null value per operand; what stays null has no gradient. Where an operation
      has several results, the builder makes zeros for those that it needs. Fails
      after an error where there is no gradient.
    }],
    "::llvm::LogicalResult", "buildGradients",
    (ins "::mlir::OpBuilder &":$builder,
         "::llvm::ArrayRef<::mlir::Value>":$resultGradients,
         "::llvm::MutableArrayRef<::mlir::Value>":$operandGradients)>];
}

def Txs_Differentiable
    : DeclareOpInterfaceMethods<Txs_DifferentiableOpInterface>;

#endif // TRANSXSSM_DIALECT_TXS_TXSINTERFACES_TD

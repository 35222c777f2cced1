//===- TxsConstraints.h - What verifiers of txs have in common ------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Each check reports an error that ends with `Label`, the constraint's label in
// TxsOps.td. Batch and sequence are dynamic and widths static everywhere, so
// that the dimensions say which are which.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_DIALECT_TXS_TXSCONSTRAINTS_H
#define TRANSXSSM_DIALECT_TXS_TXSCONSTRAINTS_H

#include "dialect/txs/TxsDialect.h"

namespace transxssm {
namespace txs {

using Dimensions = llvm::ArrayRef<int64_t>;

inline Dimensions shapeOf(mlir::Value Tensor) {
  return llvm::cast<mlir::RankedTensorType>(Tensor.getType()).getShape();
}

/// "[?, ?, 64]".
std::string toText(Dimensions Shape);

/// `Name` has as many dimensions as `Form` names, the first `Leading` of them
/// dynamic and the others static. Form is text such as "[B, T, H, P]".
llvm::LogicalResult expectForm(mlir::Operation *Op, llvm::StringRef Name,
                               mlir::Value Tensor, llvm::StringRef Form,
                               size_t Leading, llvm::StringRef Label);

llvm::LogicalResult expectShape(mlir::Operation *Op, llvm::StringRef Name,
                                mlir::Value Tensor, Dimensions Expected,
                                llvm::StringRef Label);

/// A vector with one element for each of the last dimension of `Input`.
llvm::LogicalResult expectChannelWeight(mlir::Operation *Op, mlir::Value Input,
                                        mlir::Value Weight,
                                        llvm::StringRef Label);

/// In [0, 1).
llvm::LogicalResult expectProbability(mlir::Operation *Op,
                                      const llvm::APFloat &Value,
                                      llvm::StringRef Name,
                                      llvm::StringRef Label);

/// In [0, 2^32): a word of the random numbers' counter.
llvm::LogicalResult expectSite(mlir::Operation *Op, uint64_t Site,
                               llvm::StringRef Label);

/// Float32 or float64: what is summed up over many elements.
llvm::LogicalResult expectWide(mlir::Operation *Op, llvm::StringRef Name,
                               mlir::Value Tensor, llvm::StringRef Label);

/// The element type that `Wanted` has.
llvm::LogicalResult expectElement(mlir::Operation *Op, llvm::StringRef Name,
                                  mlir::Value Tensor, mlir::Type Wanted,
                                  llvm::StringRef Label);

/// A tensor as a product sees it: [B, T] or [B] in front, and what comes after
/// as one width.
struct Flattened {
  Dimensions Leading;
  int64_t Width = 1;
};

llvm::FailureOr<Flattened> flatten(mlir::Operation *Op, llvm::StringRef Name,
                                   mlir::Value Tensor, llvm::StringRef Label);

/// The dimensions before the static ones are the same in both.
llvm::LogicalResult expectSameLeading(mlir::Operation *Op,
                                      llvm::StringRef NameA, const Flattened &A,
                                      llvm::StringRef NameB, const Flattened &B,
                                      llvm::StringRef Label);

} // namespace txs
} // namespace transxssm

#endif // TRANSXSSM_DIALECT_TXS_TXSCONSTRAINTS_H

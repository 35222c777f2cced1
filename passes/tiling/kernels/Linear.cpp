//===- Linear.cpp - Products with weights ---------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// result[r, o] = sum_i x[r, i] weight[o, i] + bias[o]
//
// A cell of the general kernel makes a tile of the result, walking over i. For
// few rows (decoding) time is that of reading the weights: a cell takes a strip
// of outputs, and its weights from memory once for all rows. On a GPU it does
// not multiply matrices: it adds up, element by element of its part of the
// weights, the products with each row of x, and sums those up at the end. Then
// weights go from memory to the registers of the threads that use them.
//
// Products of one input (SharedInput.h) share a launch. A last grid coordinate
// chooses among its parts; the products of one part, gate and up projection for
// one, are made by the same cell, and the operations behind them see both.
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/ProductTiles.h"
#include "passes/tiling/kernels/Kernels.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

LinearTiles::LinearTiles(TileSizes Sizes, int64_t Inputs, int64_t Outputs,
                         Type Element, int64_t Multiple)
    : ColumnTile(productTile(Outputs, 128)),
      InnerTile(Sizes.innerExtent(Inputs, productTile(Inputs, 256), Element)),
      RowTile(128) {
  if (ColumnTile % Multiple != 0)
    ColumnTile = std::max<int64_t>(128 / Multiple, 1) * Multiple;
}

int64_t tiling::productTile(int64_t Extent, int64_t High) {
  // Multiples of 16 make full vectors; without a divisor the last tile is cut.
  for (int64_t Size = High; Size >= 64; Size -= 16)
    if (Extent % Size == 0)
      return Size;
  if (Extent <= 8)
    return 8;
  return Extent <= High ? (Extent + 15) / 16 * 16 : 64;
}

SmallVector<Tile> tiling::productsOverInner(
    TileBuilder &B, int64_t Extent, int64_t InnerTile, ArrayRef<Tile> Zeros,
    function_ref<SmallVector<Tile>(Tile Inner, ArrayRef<Tile> Accumulators)>
        Step) {
  if (Extent <= InnerTile)
    return Step(B.index(0), Zeros);
  return B.forLoop(0, Extent, InnerTile, Zeros, Step);
}

Tile tiling::productOverInner(
    TileBuilder &B, int64_t Extent, int64_t InnerTile, Tile Zero,
    function_ref<Tile(Tile Inner, Tile Accumulator)> Step) {
  return productsOverInner(B, Extent, InnerTile, {Zero},
                           [&](Tile Inner, ArrayRef<Tile> Carried) {
                             return SmallVector<Tile>{Step(Inner, Carried[0])};
                           })[0];
}

namespace {
/// The products that a cell makes for the same columns, and what becomes of
/// them: a part of a group (Fusion.h).
class LinearPart {
public:
  LinearPart(EntryBuilder &E, const FusedGroup &Part);

  /// "_n1024_rope128", "_n2048_n2048_silu_v2_mul_..."
  std::string name() const;
  void addArguments(EntryBuilder &E,
                    SmallVectorImpl<LaunchArgument> &Arguments) const;
  void declare(TileBuilder &B, int64_t Inputs);
  /// Makes M x N of every result from M rows of X, K columns at a time.
  void store(TileBuilder &B, Tile X, Tile Row, Tile Column, int64_t M,
             int64_t N, int64_t K) const;
  /// The same for few rows on a GPU.
  void storeRows(TileBuilder &B, Tile X, Tile Row, Tile Column, int64_t M,
                 int64_t N) const;

  size_t productCount() const { return Products.size(); }

  int64_t Outputs, Multiple;

private:
  void finish(TileBuilder &B, SmallVector<Tile> Results, Tile Row, Tile Column,
              int64_t M, int64_t N) const;

  struct Product {
    Value WeightValue, BiasValue; // the bias may be missing
    Type ResultElement;
    Tile Weight, Bias; // of the kernel being built
  };
  Type Element; // of the input
  SmallVector<Product> Products;
  Epilogue Tail;
};

/// The products of one input.
struct LinearGroup {
  LinearGroup(EntryBuilder &E, const FusedGroup &Group);

  std::string name(StringRef Kind) const;
  /// Declares the input, then what the parts need.
  Tile declare(TileBuilder &B);
  /// Calls Body for the part that a grid coordinate names, where the column is
  /// one of its own.
  void forPart(TileBuilder &B, unsigned Dimension,
               function_ref<Tile(const LinearPart &)> Column,
               function_ref<void(const LinearPart &, Tile Column)> Body) const;
  /// The cells in the direction of columns, and one for each part if several.
  void addCells(EntryBuilder &E, SmallVectorImpl<AffineExpr> &Grid,
                function_ref<int64_t(const LinearPart &)> ColumnTile) const;

  int64_t Inputs;
  Type Element; // of the input
  std::vector<LinearPart> Parts;
};
} // namespace

static SmallVector<Value> resultsOf(ArrayRef<Operation *> Roots) {
  return llvm::map_to_vector(
      Roots, [](Operation *Root) { return Value(Root->getResult(0)); });
}

static Type elementOf(Value V) { return getElementTypeOrSelf(V.getType()); }

LinearPart::LinearPart(EntryBuilder &E, const FusedGroup &Part)
    : Outputs(E.width(Part.Roots.front()->getResult(0))),
      Multiple(Part.columnMultiple()),
      Element(E.element(Part.Roots.front()->getOperand(0))),
      Tail(E, resultsOf(Part.Roots), Part.Steps) {
  for (Operation *Root : Part.Roots) {
    auto Op = cast<txs::LinearOp>(Root);
    Products.push_back({Op.getWeight(), Op.getBias(), E.element(Op.getResult()),
                        Tile(), Tile()});
  }
}

std::string LinearPart::name() const {
  std::string Name;
  for (const Product &P : Products) {
    Name += "_n" + std::to_string(Outputs);
    if (elementOf(P.WeightValue) != Element)
      Name += "_weight" + typeName(elementOf(P.WeightValue));
    if (P.ResultElement != Element)
      Name += "_to" + typeName(P.ResultElement);
    if (P.BiasValue)
      Name += "_bias" + typeSuffix(elementOf(P.BiasValue));
  }
  return Name + Tail.name();
}

void LinearPart::addArguments(
    EntryBuilder &E, SmallVectorImpl<LaunchArgument> &Arguments) const {
  for (const Product &P : Products) {
    Arguments.push_back({E.read(P.WeightValue)});
    if (P.BiasValue)
      Arguments.push_back({E.read(P.BiasValue)});
  }
  Tail.addArguments(Arguments);
}

void LinearPart::declare(TileBuilder &B, int64_t Inputs) {
  for (Product &P : Products) {
    P.Weight = B.memory({Outputs, Inputs}, elementOf(P.WeightValue));
    P.Bias = P.BiasValue ? B.memory({Outputs}, elementOf(P.BiasValue)) : Tile();
  }
  Tail.declare(B);
}

void LinearPart::store(TileBuilder &B, Tile X, Tile Row, Tile Column, int64_t M,
                       int64_t N, int64_t K) const {
  SmallVector<Tile> Zeros(Products.size(), B.zeros({M, N}));
  SmallVector<Tile> Results = productsOverInner(
      B, X.columns(), K, Zeros, [&](Tile Inner, ArrayRef<Tile> Sums) {
        Tile Part = B.load(X, {Row, Inner}, {M, K});
        SmallVector<Tile> Next;
        for (auto [P, Sum] : llvm::zip_equal(Products, Sums))
          Next.push_back(B.mmaTransposedRight(
              Part, B.load(P.Weight, {Column, Inner}, {N, K}), Sum));
        return Next;
      });
  finish(B, Results, Row, Column, M, N);
}

/// Zeros but for row `Number`, which is V.
static Tile rowOf(TileBuilder &B, Tile V, int64_t Number, int64_t Rows) {
  Tile Row = B.asRow(V, Rows);
  if (Rows == 1)
    return Row;
  return select(equal(B.iota({Rows, V.columns()}, 0), Number), Row, 0);
}

void LinearPart::storeRows(TileBuilder &B, Tile X, Tile Row, Tile Column,
                           int64_t M, int64_t N) const {
  // Sums of 64 registers for each of 256 threads, at most half of them for one
  // product with one row: then two or four loads of 16 bytes are under way.
  int64_t Sums = M * static_cast<int64_t>(Products.size());
  int64_t K = std::min<int64_t>(8192, 16384 / powerOfTwoAtMost(2 * Sums - 1)) /
              powerOfTwoAtMost(2 * N - 1);
  K = std::min(std::max<int64_t>(K, 64), powerOfTwoAtMost(2 * X.columns() - 1));
  SmallVector<Tile> Zeros(Sums, B.zeros({N, K}));
  SmallVector<Tile> Parts = productsOverInner(
      B, X.columns(), K, Zeros, [&](Tile Inner, ArrayRef<Tile> Old) {
        SmallVector<Tile> Rows, Next;
        for (int64_t I = 0; I < M; ++I) {
          // Rows past the end are dropped where they are stored.
          Tile Place = I ? minimum(Row + I, B.extent(X, 0) - 1) : Row;
          Rows.push_back(B.asRow(B.load(X, {Place, Inner}, {K}), N));
        }
        for (const Product &P : Products) {
          Tile Weight = B.load(P.Weight, {Column, Inner}, {N, K});
          for (Tile Part : Rows)
            Next.push_back(Old[Next.size()] + Weight * Part);
        }
        return Next;
      });
  SmallVector<Tile> Results;
  for (size_t P = 0; P < Products.size(); ++P) {
    Tile Result;
    for (int64_t I = 0; I < M; ++I) {
      Tile Made = rowOf(B, B.sum(Parts[P * M + I]), I, M);
      Result = Result ? Result + Made : Made;
    }
    Results.push_back(Result);
  }
  finish(B, Results, Row, Column, M, N);
}

void LinearPart::finish(TileBuilder &B, SmallVector<Tile> Results, Tile Row,
                        Tile Column, int64_t M, int64_t N) const {
  for (auto [P, Result] : llvm::zip_equal(Products, Results))
    if (P.Bias)
      Result = Result + B.asRow(B.load(P.Bias, {Column}, {N}), M);
  Tail.store(B, Results, Row, Column);
}

LinearGroup::LinearGroup(EntryBuilder &E, const FusedGroup &Group)
    : Inputs(E.width(Group.Roots.front()->getOperand(0))),
      Element(E.element(Group.Roots.front()->getOperand(0))) {
  for (const FusedGroup &Part : Group.parts())
    Parts.emplace_back(E, Part);
}

std::string LinearGroup::name(StringRef Kind) const {
  std::string Name =
      Kind.str() + "_k" + std::to_string(Inputs) + typeSuffix(Element);
  for (const LinearPart &Part : Parts)
    Name += (&Part == &Parts.front() ? "" : "_and") + Part.name();
  return Name;
}

Tile LinearGroup::declare(TileBuilder &B) {
  Tile X = B.memory({Dynamic, Inputs}, Element);
  for (LinearPart &Part : Parts)
    Part.declare(B, Inputs);
  return X;
}

void LinearGroup::forPart(
    TileBuilder &B, unsigned Dimension,
    function_ref<Tile(const LinearPart &)> Column,
    function_ref<void(const LinearPart &, Tile Column)> Body) const {
  if (Parts.size() == 1)
    return Body(Parts.front(), Column(Parts.front()));
  for (auto [I, Part] : llvm::enumerate(Parts)) {
    Tile First = Column(Part);
    // The widest part decides how many cells all of them have.
    B.ifThen(equal(B.grid(Dimension), static_cast<int64_t>(I)) &
                 (First < Part.Outputs),
             [&, &Part = Part] { Body(Part, First); });
  }
}

void LinearGroup::addCells(
    EntryBuilder &E, SmallVectorImpl<AffineExpr> &Grid,
    function_ref<int64_t(const LinearPart &)> ColumnTile) const {
  int64_t Most = 0;
  for (const LinearPart &Part : Parts)
    Most = std::max<int64_t>(Most,
                             llvm::divideCeil(Part.Outputs, ColumnTile(Part)));
  Grid.push_back(E.constant(Most));
  if (Parts.size() > 1)
    Grid.push_back(E.constant(Parts.size()));
}

/// A CPU's tiles, or `Usual`. Where a cell makes several products, their
/// columns together are as wide as a large tile.
static TileEdges largeEdges(TileSizes Sizes, const LinearGroup &Group,
                            TileEdges Usual) {
  int64_t Outputs = 0;
  bool Several = false;
  for (const LinearPart &Part : Group.Parts) {
    Several |= Part.productCount() > 1;
    Outputs += Part.Outputs;
  }
  // A cell holds the sums of all its products: no 128 x 512 for several.
  TileEdges Large = {128, 256};
  if (Several)
    return Sizes.hasLargeTiles(TileSizes::TypicalTokens, Outputs, Large)
               ? Large
               : Usual;
  return Sizes.productEdges(TileSizes::TypicalTokens, Outputs, Usual);
}

/// `Small`: for a GPU that large tiles would leave idle.
static LinearTiles tilesOf(ModuleOp Module, const LinearGroup &Group,
                           const LinearPart &Part, bool Small) {
  TileSizes Sizes = TileSizes::of(Module);
  LinearTiles Tiles(Sizes, Group.Inputs, Part.Outputs, Group.Element,
                    Part.Multiple);
  if (!Small) {
    TileEdges Edges = largeEdges(Sizes, Group, {Tiles.RowTile, 128});
    int64_t Columns = productTile(Part.Outputs, Edges.Columns);
    Tiles.RowTile = Edges.Rows;
    if (Columns % Part.Multiple == 0)
      Tiles.ColumnTile = Columns;
    return Tiles;
  }
  Tiles.RowTile = SmallProductTile.Rows;
  int64_t Columns = productTile(Part.Outputs, SmallProductTile.Columns);
  if (Columns % Part.Multiple == 0)
    Tiles.ColumnTile = Columns;
  return Tiles;
}

/// All cells in the direction of columns.
static int64_t columnTiles(ModuleOp Module, const LinearGroup &Group,
                           bool Small) {
  int64_t Cells = 0;
  for (const LinearPart &Part : Group.Parts)
    Cells += llvm::divideCeil(Part.Outputs,
                              tilesOf(Module, Group, Part, Small).ColumnTile);
  return Cells;
}

static tile::KernelOp buildLinear(ModuleOp Module, LinearGroup &Group,
                                  bool Small) {
  unsigned Rank = Group.Parts.size() == 1 ? 2 : 3;
  std::string Name = Group.name(Small ? "linear_small" : "linear");
  return defineKernel(Module, Name, Rank, [&](TileBuilder &B) {
    Tile X = Group.declare(B);
    Group.forPart(
        B, 2,
        [&](const LinearPart &Part) {
          return B.grid(1) * tilesOf(Module, Group, Part, Small).ColumnTile;
        },
        [&](const LinearPart &Part, Tile Column) {
          LinearTiles Tiles = tilesOf(Module, Group, Part, Small);
          Part.store(B, X, B.grid(0) * Tiles.RowTile, Column, Tiles.RowTile,
                     Tiles.ColumnTile, Tiles.InnerTile);
        });
  });
}

/// The outputs of one cell of the kernel for few rows. A GPU needs many cells;
/// a CPU reads a wide strip of weights in a few long streams, and a few cells
/// with a processor each take all the bandwidth that there is.
static int64_t stripWidth(ModuleOp Module, const LinearGroup &Group,
                          const LinearPart &Part) {
  constexpr int64_t LeastCells = 16;
  int64_t Outputs = 0, Width = 8;
  for (const LinearPart &Each : Group.Parts)
    Outputs += Each.Outputs;
  if (!TileSizes::of(Module).Gpu)
    for (Width = 128; Width > 32 && Outputs < LeastCells * Width;)
      Width /= 2;
  return std::max<int64_t>(Width / Part.Multiple, 1) * Part.Multiple;
}

/// For few rows, M of them at a time.
static tile::KernelOp buildLinearRows(ModuleOp Module, LinearGroup &Group,
                                      int64_t M) {
  int64_t K = tileFor(Group.Inputs, 256, 8192);
  unsigned Rank = Group.Parts.size() == 1 ? 1 : 2;
  return defineKernel(Module, Group.name("linear_rows" + std::to_string(M)),
                      Rank, [&](TileBuilder &B) {
                        Tile X = Group.declare(B);
                        Group.forPart(
                            B, 1,
                            [&](const LinearPart &Part) {
                              return B.grid(0) *
                                     stripWidth(Module, Group, Part);
                            },
                            [&](const LinearPart &Part, Tile Column) {
                              int64_t N = stripWidth(Module, Group, Part);
                              auto Strip = [&](Tile Row) {
                                if (TileSizes::of(Module).Gpu)
                                  Part.storeRows(B, X, Row, Column, M, N);
                                else
                                  Part.store(B, X, Row, Column, M, N, K);
                              };
                              if (M == 1)
                                Strip(B.index(0));
                              else
                                B.forLoop(0, B.extent(X, 0), M, Strip);
                            });
                      });
}

bool tiling::servesFewRows(EntryBuilder &E, Value Input) {
  // A call that continues from a cache often has one token per sequence, and
  // what is taken once per sequence has one row each.
  if (cast<RankedTensorType>(Input.getType()).getNumDynamicDims() == 1)
    return true;
  func::FuncOp Function = E.function();
  for (unsigned I = 0; I < Function.getNumArguments(); ++I)
    if (Function.getArgAttr(I, txs::StateAttribute))
      return true;
  return false;
}

static void launchTiles(EntryBuilder &E, LinearGroup &Group, AffineExpr Rows,
                        ArrayRef<LaunchArgument> Arguments, bool Small,
                        ArrayRef<AffineExpr> When) {
  ModuleOp Module = E.module();
  SmallVector<AffineExpr> Grid = {
      Rows.ceilDiv(tilesOf(Module, Group, Group.Parts.front(), Small).RowTile)};
  Group.addCells(E, Grid, [&](const LinearPart &Part) {
    return tilesOf(Module, Group, Part, Small).ColumnTile;
  });
  E.launch(buildLinear(Module, Group, Small), Grid, Arguments, When);
}

/// Up to so many rows a GPU's products have small tiles.
static int64_t rowsOfSmallTiles(ModuleOp Module, const LinearGroup &Group) {
  if (!TileSizes::of(Module).Gpu)
    return 0;
  if (auto Forced = Module->getAttrOfType<StringAttr>(ProductTilesAttribute))
    return Forced == "small" ? MostSmallTileRows : 0;
  return smallTileRows(columnTiles(Module, Group, /*Small=*/true),
                       columnTiles(Module, Group, /*Small=*/false));
}

static LogicalResult lowerLinear(txs::LinearOp Op, EntryBuilder &E) {
  LinearGroup Group(E, E.group(Op));
  AffineExpr Rows = E.tokens(Op.getInput());
  SmallVector<LaunchArgument> Arguments = {{E.read(Op.getInput()), {Rows}}};
  for (const LinearPart &Part : Group.Parts)
    Part.addArguments(E, Arguments);

  SmallVector<AffineExpr> Many;
  if (servesFewRows(E, Op.getInput())) {
    SmallVector<AffineExpr> Grid;
    Group.addCells(E, Grid, [&](const LinearPart &Part) {
      return stripWidth(E.module(), Group, Part);
    });
    E.launch(buildLinearRows(E.module(), Group, 1), Grid, Arguments,
             {1 - Rows});
    E.launch(buildLinearRows(E.module(), Group, 4), Grid, Arguments,
             {Rows - 2, FewRows - Rows});
    int64_t Some = rowsOfSmallTiles(E.module(), Group);
    if (Some > FewRows)
      launchTiles(E, Group, Rows, Arguments, /*Small=*/true,
                  {Rows - (FewRows + 1), Some - Rows});
    Many = {Rows - (std::max(Some, FewRows) + 1)};
  }
  launchTiles(E, Group, Rows, Arguments, /*Small=*/false, Many);
  return success();
}

void tiling::registerLinear(LoweringTable &Table) {
  Table.add<txs::LinearOp>(lowerLinear);
}

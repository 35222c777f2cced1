# ruff: noqa: F821 (lit defines `config`)
# The lit suite: every .mlir and .test file under test/ runs its RUN lines.
#
#   %configs   configs/ of the repository
#   %goldens   test/goldens/data
#   %status N COMMAND   succeeds when the command exits with status N
#   %tiled FILE   the file after txs-to-tile, constants and maps in place
#   %s %t      as everywhere: the test file, a temporary file

import os
import shutil

import lit.formats

config.name = "TransXSSM"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "data"]
config.test_source_root = os.path.join(config.transxssm_source, "test")
config.test_exec_root = os.path.join(config.transxssm_build, "test")

config.substitutions.append(("%configs", os.path.join(config.transxssm_source, "configs")))
config.substitutions.append(("%goldens", os.path.join(config.test_source_root, "goldens", "data")))

config.substitutions.append(("%tiled", os.path.join(config.test_source_root, "tiled")))
# NVIDIA's assembler, of the CUDA toolkit or the package nvidia-cuda-nvcc.
if os.environ.get("TRANSXSSM_PTXAS"):
    config.environment["TRANSXSSM_PTXAS"] = os.environ["TRANSXSSM_PTXAS"]
    config.available_features.add("ptxas")
elif shutil.which("ptxas"):
    config.available_features.add("ptxas")

config.substitutions.append(("%status", os.path.join(config.test_source_root, "exits-with")))

# Tools of this build first, then FileCheck and not of LLVM.
config.environment["PATH"] = os.pathsep.join(
    [
        os.path.join(config.transxssm_build, "bin"),
        config.llvm_tools,
        os.environ["PATH"],
    ]
)
config.environment["FILECHECK_OPTS"] = "--dump-input-filter=error"

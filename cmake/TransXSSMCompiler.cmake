# Finds MLIR 22 and gives the functions that the compiler's libraries are
# declared with.

find_package(MLIR REQUIRED CONFIG)
if(NOT MLIR_PACKAGE_VERSION MATCHES "^22\\." AND NOT LLVM_PACKAGE_VERSION MATCHES "^22\\.")
  message(FATAL_ERROR "MLIR 22 is needed, ${MLIR_DIR} has ${LLVM_PACKAGE_VERSION}")
endif()
list(APPEND CMAKE_MODULE_PATH "${MLIR_CMAKE_DIR}" "${LLVM_CMAKE_DIR}")
include(TableGen)
include(AddLLVM)
include(AddMLIR)
include_directories(SYSTEM ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
include_directories(${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})

# Debian's shared libraries: a link takes a second, and every option is
# registered exactly once.
add_library(transxssm_mlir INTERFACE)
target_link_libraries(transxssm_mlir INTERFACE MLIR LLVM)
target_compile_options(transxssm_mlir INTERFACE -fno-exceptions)

# One precompiled header serves every library of the compiler; without it the
# MLIR headers cost 15 to 30 seconds a file.
add_library(transxssm_pch OBJECT ${PROJECT_SOURCE_DIR}/cmake/Precompiled.cpp)
target_link_libraries(transxssm_pch PRIVATE transxssm_mlir)
target_precompile_headers(transxssm_pch PRIVATE ${PROJECT_SOURCE_DIR}/cmake/Precompiled.h)

# transxssm_add_library(NAME SOURCES... [LINK libs...] [DEPENDS targets...])
function(transxssm_add_library name)
  cmake_parse_arguments(ARG "" "" "LINK;DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PUBLIC transxssm_mlir ${ARG_LINK})
  target_precompile_headers(${name} REUSE_FROM transxssm_pch)
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
endfunction()

# transxssm_add_tool(NAME SOURCES... LINK libs...)
function(transxssm_add_tool name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} transxssm_mlir)
  # As the libraries' code, so that they share the precompiled header.
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${name} PRIVATE -fPIC)
  target_precompile_headers(${name} REUSE_FROM transxssm_pch)
endfunction()

# transxssm_add_dialect(NAME STEM): operations, enums and types of STEM"Ops.td"
# as .inc files of the same stem; target NAME.
function(transxssm_add_dialect name stem)
  string(TOLOWER ${stem} dialect)
  set(LLVM_TARGET_DEFINITIONS ${stem}Ops.td)
  mlir_tablegen(${stem}Ops.h.inc -gen-op-decls)
  mlir_tablegen(${stem}Ops.cpp.inc -gen-op-defs)
  mlir_tablegen(${stem}Dialect.h.inc -gen-dialect-decls -dialect=${dialect})
  mlir_tablegen(${stem}Dialect.cpp.inc -gen-dialect-defs -dialect=${dialect})
  mlir_tablegen(${stem}Enums.h.inc -gen-enum-decls)
  mlir_tablegen(${stem}Enums.cpp.inc -gen-enum-defs)
  mlir_tablegen(${stem}Types.h.inc -gen-typedef-decls -typedefs-dialect=${dialect})
  mlir_tablegen(${stem}Types.cpp.inc -gen-typedef-defs -typedefs-dialect=${dialect})
  add_public_tablegen_target(${name})
  add_dependencies(${name} transxssm_pch)
endfunction()

# transxssm_add_pytest(NAME [ENVIRONMENT VAR=VALUE...]): the pytest files of the
# current folder as one test.

if(NOT DEFINED TRANSXSSM_HAS_PYTEST)
  execute_process(
    COMMAND ${Python3_EXECUTABLE} -c "import numpy, pytest"
    RESULT_VARIABLE missing ERROR_QUIET)
  if(missing)
    message(WARNING "${Python3_EXECUTABLE} lacks numpy or pytest: the tests of "
      "transxssm-run and of the Python module are not registered; set "
      "Python3_EXECUTABLE, or use ./dev test")
    set(TRANSXSSM_HAS_PYTEST FALSE)
  else()
    set(TRANSXSSM_HAS_PYTEST TRUE)
  endif()
endif()

function(transxssm_add_pytest name)
  cmake_parse_arguments(ARG "" "" "ENVIRONMENT" ${ARGN})
  if(NOT TRANSXSSM_HAS_PYTEST)
    return()
  endif()
  add_test(NAME ${name}
    COMMAND ${Python3_EXECUTABLE} -m pytest -q -p no:cacheprovider -rs
            ${CMAKE_CURRENT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES
    ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1;${ARG_ENVIRONMENT}")
endfunction()

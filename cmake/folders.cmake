# The precompiled header that every folder reuses; it holds nothing of the project, so it is made once.
# It is named without a path, so that what ccache keeps of it serves every checkout on the machine.
add_library(terrane_pch STATIC ${CMAKE_SOURCE_DIR}/cmake/pch.cc)
target_link_libraries(terrane_pch PUBLIC OpenSSL::SSL Boost::json Boost::url Boost::boost Threads::Threads)
target_include_directories(terrane_pch PRIVATE ${CMAKE_SOURCE_DIR}/src)
target_precompile_headers(terrane_pch PRIVATE <base/pch.h>)

# terrane_folder(NAME [DEPS folders…] [LIBS targets…] [TEST_LIBS targets…])
#   One static library `terrane_NAME` from the *.cc of the current folder, which may use exactly the folders in DEPS and
#   what they use, and one test program `NAME_test` from its *_test.cc. Statements in *.sql become NAME/…_sql.h.
function(terrane_folder name)
  cmake_parse_arguments(arg "" "" "DEPS;LIBS;TEST_LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.cc)
  file(GLOB tests CONFIGURE_DEPENDS *_test.cc)
  file(GLOB statements CONFIGURE_DEPENDS *.sql)
  if(tests)
    list(REMOVE_ITEM sources ${tests})
  endif()

  set(generated "")
  foreach(sql IN LISTS statements)
    get_filename_component(stem ${sql} NAME_WE)
    set(header ${CMAKE_BINARY_DIR}/generated/${name}/${stem}_sql.h)
    add_custom_command(
      OUTPUT ${header}
      COMMAND python3 ${CMAKE_SOURCE_DIR}/tools/embed_sql.py ${sql} ${header}
      DEPENDS ${sql} ${CMAKE_SOURCE_DIR}/tools/embed_sql.py)
    list(APPEND generated ${header})
  endforeach()

  add_library(terrane_${name} STATIC ${sources} ${generated})
  target_include_directories(terrane_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src ${CMAKE_BINARY_DIR}/generated)
  list(TRANSFORM arg_DEPS PREPEND terrane_ OUTPUT_VARIABLE deps)
  target_link_libraries(terrane_${name} PUBLIC ${deps} PRIVATE ${arg_LIBS})
  target_precompile_headers(terrane_${name} REUSE_FROM terrane_pch)

  if(tests)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE terrane_${name} ${arg_LIBS} ${arg_TEST_LIBS} GTest::gmock GTest::gtest_main)
    target_precompile_headers(${name}_test REUSE_FROM terrane_pch)
    gtest_discover_tests(${name}_test TEST_PREFIX ${name}. DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 120)
  endif()
endfunction()

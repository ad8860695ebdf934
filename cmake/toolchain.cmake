# One compiler, one standard, one set of flags for every folder.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang" OR CMAKE_CXX_COMPILER_VERSION VERSION_LESS 19)
  message(FATAL_ERROR "Terrane needs clang 19: GCC 12 destroys temporaries in co_await expressions twice. "
                      "Use ./x build, or pass -DCMAKE_CXX_COMPILER=clang++-19.")
endif()

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER sh ${CMAKE_SOURCE_DIR}/tools/launch_compiler.sh ${CMAKE_BINARY_DIR} ${CCACHE})
endif()

set(TERRANE_SANITIZE "" CACHE STRING "Sanitizers to build with, as in -fsanitize=: 'address,undefined' or 'thread'")
add_compile_options(-Wall -Wextra -Wpedantic -Werror -Wswitch -Wshadow -Wno-unused-parameter -Wno-missing-field-initializers
                    -fno-omit-frame-pointer "SHELL:-Xclang -fno-pch-timestamp")
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  add_compile_options(-g1)
endif()
if(TERRANE_SANITIZE)
  add_compile_options(-fsanitize=${TERRANE_SANITIZE})
  add_link_options(-fsanitize=${TERRANE_SANITIZE})
endif()
add_link_options(-fuse-ld=lld -Wl,--as-needed)
# Asio and Beast are compiled once, in net/asio_impl.cc and http/beast_impl.cc.
add_compile_definitions(BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED
                        BOOST_ASIO_DISABLE_BOOST_COROUTINE)

find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json url)
find_package(GTest REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(SPDLOG REQUIRED IMPORTED_TARGET spdlog)
pkg_check_modules(PQ REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(ARCHIVE REQUIRED IMPORTED_TARGET libarchive)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
pkg_check_modules(ARGON2 REQUIRED IMPORTED_TARGET libargon2)
pkg_check_modules(RABBITMQ REQUIRED IMPORTED_TARGET librabbitmq)
pkg_check_modules(HIREDIS REQUIRED IMPORTED_TARGET hiredis)
include(GoogleTest)

#include "sandbox/inside_program.h"

asm(".pushsection .rodata.terrane_inside, \"a\"\n"
    "terrane_inside_begin:\n"
    ".incbin \"" TERRANE_INSIDE_PROGRAM
    "\"\n"
    "terrane_inside_end:\n"
    ".global terrane_inside_begin, terrane_inside_end\n"
    ".popsection\n");
extern "C" const char terrane_inside_begin[], terrane_inside_end[];

namespace terrane::sandbox {

std::string_view inside_program() { return {terrane_inside_begin, terrane_inside_end}; }

}  // namespace terrane::sandbox

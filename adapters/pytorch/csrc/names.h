/*
 * From names, as Python spells them, to enumerators of libhlqcomm.
 */
#pragma once

#include "status.h"

#include <strings.h>

#include <string>

namespace hlqtorch {

/* The enumerator whose name, as libhlqcomm itself spells it, is `wanted`; case does not matter. */
template <typename Enum>
Enum enum_from(const char *what, const std::string &wanted, const char *(*name_of)(Enum))
{
    std::string known;
    for (int value = 0; name_of(static_cast<Enum>(value)) != nullptr; value++) {
        const char *name = name_of(static_cast<Enum>(value));
        if (strcasecmp(name, wanted.c_str()) == 0) {
            return static_cast<Enum>(value);
        }
        known += (value == 0 ? "" : ", ") + std::string(name);
    }
    throw invalid(std::string(what) + " '" + wanted + "' does not exist; there is " + known);
}

} // namespace hlqtorch

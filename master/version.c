#include "master/version.h"

const char version_number[] = MS_VERSION;
const char version_revision[] = MS_REVISION;
const char version_build[] = __VERSION__;

/* version - the version of all programs. */
#ifndef SUTRA_BASE_VERSION_H
#define SUTRA_BASE_VERSION_H

#define SUTRA_VERSION "0.1.0"

#endif

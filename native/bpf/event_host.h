/* SPDX-License-Identifier: Apache-2.0 */
/* event.h for the addon: the same definitions on the host's integer types. */
#ifndef SHIKRA_EVENT_HOST_H
#define SHIKRA_EVENT_HOST_H
#include <linux/types.h>
#include "event.h"
#endif

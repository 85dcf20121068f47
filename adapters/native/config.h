/* The few things that this library itself must know of init_config and of the
 * instance: where the program is, what a service check is tagged with, and what
 * must not be repeated. The program reads the rest, and judges it.
 *
 * This is no reader of YAML. It knows what the Agent writes when it hands an
 * instance on (a block mapping, one key a line, plain and quoted texts, lists of
 * those) and JSON. What it does not understand, it leaves out. */
#ifndef CONFIG_H
#define CONFIG_H

#include "text.h"

#include <stdbool.h>

/* Adds the value of a key at the top; false where there is none, or none that
 * is one text. */
bool config_value(const char *config, const char *key, struct text *out);

/* Adds the texts of a list at the top. */
void config_list(const char *config, const char *key, struct list *out);

/* Adds the values, at any depth, of the keys whose name says that they are secret. */
void config_secrets(const char *config, struct list *out);

/* Adds the text with each of the secrets replaced by asterisks. */
void hide(const char *string, const struct list *secrets, struct text *out);

#endif

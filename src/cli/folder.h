/* folder.h: a saved model, as others open it: model.safetensors, config.json and tokenizer.json in
 * the names and layouts of Hugging Face's GPT-2; beside them refrain.state, all that --resume
 * reads. Functions report what goes wrong and return an exit status. */
#ifndef RF_CLI_FOLDER_H
#define RF_CLI_FOLDER_H

#include <refrain/io.h>
#include <refrain/nn.h>

#define FOLDER_MODEL     "model.safetensors"
#define FOLDER_CONFIG    "config.json"
#define FOLDER_TOKENIZER "tokenizer.json"
#define FOLDER_STATE     "refrain.state"

typedef struct folder_config {
    rf_gpt2_options shape; /* dropout is 0: each run has its own       */
    uint64_t bos, eos;     /* token numbers; TRAIN_NO_TOKEN: there are none */
} folder_config;

int folder_read_config(rf_context *ctx, const char *folder, folder_config *out);
/* Fill a model of that size with the folder's weights. */
int folder_read_weights(rf_module *model, const char *folder);
/* model.safetensors alone, and with its config.json. */
int folder_write_weights(rf_module *model, const char *folder);
int folder_write_model(rf_module *model, const folder_config *config, const char *folder);
/* Take the tokeniser's files along from another folder, as far as it has them. */
int folder_copy_tokenizer(rf_context *ctx, const char *from, const char *folder);
/* tokenizer.json for a vocabulary of the 256 bytes. */
int folder_write_tokenizer(rf_context *ctx, const char *folder);

#endif

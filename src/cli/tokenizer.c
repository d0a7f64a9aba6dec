/* tokenizer.c: tokenizer.json for a vocabulary of the 256 bytes, in which byte b is token b.
 *
 * The file's form is that of byte-level pair encoding without any pairs. Its vocabulary names bytes
 * by characters: those that print stand for themselves, the others are counted through from U+0100
 * on (the table of GPT-2's published tokeniser). */
#include "cli/folder.h"

#include <stdio.h>
#include <string.h>

#include "cli/paths.h"
#include "cli/report.h"

static int tokenizer_prints(unsigned byte)
{
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

/* The character that names a byte, as it stands in a JSON string. */
static int tokenizer_name(char *buffer, size_t bytes, unsigned byte, unsigned *others)
{
    unsigned character = tokenizer_prints(byte) ? byte : 0x100 + (*others)++;
    if (character == '"' || character == '\\')
        return snprintf(buffer, bytes, "\\%c", (int)character);
    if (character < 0x80)
        return snprintf(buffer, bytes, "%c", (int)character);
    return snprintf(buffer, bytes, "\\u%04x", character);
}

int folder_write_tokenizer(rf_context *ctx, const char *folder)
{
    static const char begin[] =
        "{\n"
        "  \"version\": \"1.0\",\n"
        "  \"truncation\": null,\n"
        "  \"padding\": null,\n"
        "  \"added_tokens\": [],\n"
        "  \"normalizer\": null,\n"
        "  \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
        "\"trim_offsets\": true, \"use_regex\": false},\n"
        "  \"post_processor\": null,\n"
        "  \"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
        "\"trim_offsets\": true, \"use_regex\": false},\n"
        "  \"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": null, "
        "\"continuing_subword_prefix\": null, \"end_of_word_suffix\": null, \"fuse_unk\": false, "
        "\"byte_fallback\": false, \"merges\": [], \"vocab\": {\n";
    static const char end[] = "  }}\n}\n";
    char text[256 * 24 + sizeof begin + sizeof end], path[PATHS_BYTES];
    size_t len = sizeof begin - 1;
    unsigned others = 0;
    memcpy(text, begin, len);
    for (unsigned byte = 0; byte < 256; byte++) {
        char name[16];
        tokenizer_name(name, sizeof name, byte, &others);
        len += (size_t)snprintf(text + len, sizeof text - len, "    \"%s\": %u%s\n", name, byte,
                                byte < 255 ? "," : "");
    }
    memcpy(text + len, end, sizeof end);
    len += sizeof end - 1;
    if (!paths_join(path, folder, FOLDER_TOKENIZER))
        return EXIT_FAILED;
    if (!rf_text_write(ctx, path, text, len))
        return EXIT_FINE;
    report_failure(ctx, folder, "make room there, or save elsewhere");
    return EXIT_FAILED;
}

/* page.c: see page.h. */
#include "cli/page.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void page_bytes(page *p, const char *bytes, size_t len)
{
    if (p->failed)
        return;
    if (p->capacity - p->len <= len) {
        size_t capacity = 2 * (p->len + len) + 4096;
        char *text = realloc(p->text, capacity);
        if (!text) {
            p->failed = 1;
            return;
        }
        p->text = text;
        p->capacity = capacity;
    }
    memcpy(p->text + p->len, bytes, len);
    p->len += len;
    p->text[p->len] = '\0';
}

void page_add(page *p, const char *text)
{
    page_bytes(p, text, strlen(text));
}

void page_addf(page *p, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (len > 0)
        page_bytes(p, text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1);
}

/* Bytes of the UTF-8 character at text, as far as its form tells; 0: none. */
static size_t page_character(const char *text)
{
    unsigned char c = (unsigned char)*text;
    size_t len = c < 0x80 ? 1 : c >= 0xC2 && c < 0xE0 ? 2 : c >= 0xE0 && c < 0xF0 ? 3 : 4;
    if (c >= 0xF5 || (c >= 0x80 && c < 0xC2) || c < 0x20 || c == 0x7F)
        return 0;
    for (size_t i = 1; i < len; i++)
        if (((unsigned char)text[i] & 0xC0) != 0x80)
            return 0;
    return len;
}

void page_add_text(page *p, const char *text)
{
    while (*text) {
        size_t len = page_character(text);
        if (!len)
            page_add(p, "?");
        else if (*text == '&')
            page_add(p, "&amp;");
        else if (*text == '<')
            page_add(p, "&lt;");
        else if (*text == '>')
            page_add(p, "&gt;");
        else if (*text == '"')
            page_add(p, "&quot;");
        else if (*text == '\'')
            page_add(p, "&#39;");
        else
            page_bytes(p, text, len);
        text += len ? len : 1;
    }
}

void page_add_count(page *p, unsigned long long count)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", count);
    for (int i = 0; i < len; i++) {
        page_bytes(p, "\u202f", i && (len - i) % 3 == 0 ? 3 : 0);
        page_bytes(p, &digits[i], 1);
    }
}

void page_add_cell(page *p, unsigned long long count)
{
    page_add(p, "<td class=\"n\">");
    page_add_count(p, count);
    page_add(p, "</td>");
}

void page_end(page *p)
{
    free(p->text);
    *p = (page){NULL, 0, 0, 0};
}

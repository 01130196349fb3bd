/* SPDX-License-Identifier: MIT */
/* HTML: text made safe, sections, the frame of a page. */
#include "report.h"

#include <string.h>

static const char *entity(unsigned char c) {
  switch (c) {
  case '&':
    return "&amp;";
  case '<':
    return "&lt;";
  case '>':
    return "&gt;";
  case '"':
    return "&quot;";
  case '\'':
    return "&#39;";
  default:
    return c < 0x20 || c == 0x7F ? " " : NULL;
  }
}

void html_text(FILE *f, const char *text) {
  const unsigned char *s = (const unsigned char *)text;
  while (*s != '\0') {
    int n = utf8_length(s);
    const char *safe = entity(*s);
    if (n == 0)
      fputs("&#xFFFD;", f);
    else if (safe != NULL)
      fputs(safe, f);
    else
      fwrite(s, 1, (size_t)n, f);
    s += n > 0 ? n : 1;
  }
}

void html_base_name(FILE *f, const char *path) {
  const char *name = path + os_folder_length(path);
  html_text(f, name[0] != '\0' ? name : path);
}

void section_begin(FILE *f, const char *id, const char *title,
                   const char *lead) {
  fprintf(f, "<section id=\"%s\" aria-labelledby=\"h-%s\">\n<h2 id=\"h-%s\">",
          id, id, id);
  html_text(f, title);
  fputs("</h2>\n", f);
  if (lead == NULL)
    return;
  fputs("<p class=\"lead\">", f);
  html_text(f, lead);
  fputs("</p>\n", f);
}

void section_end(FILE *f) { fputs("</section>\n", f); }

void html_count(FILE *f, int64_t n) {
  char digits[32];
  int length = snprintf(digits, sizeof digits, "%lld", (long long)n);
  for (int i = 0; i < length; i++) {
    if (i > 0 && (length - i) % 3 == 0 && digits[i - 1] != '-')
      fputs("&#8239;", f);
    fputc(digits[i], f);
  }
}

void page_begin(FILE *f, const char *title) {
  fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
        "<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, "
        "initial-scale=1\">\n"
        "<meta name=\"color-scheme\" content=\"light dark\">\n"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
        "'none'; img-src data:; style-src 'unsafe-inline'\">\n"
        "<meta name=\"generator\" content=\"imgrec ",
        f);
  html_text(f, imgrec_version_string());
  fputs("\">\n<title>", f);
  html_base_name(f, title);
  fputs(" - imgrec report</title>\n<style>\n", f);
  page_style(f);
  fputs("</style>\n</head>\n<body>\n<main>\n", f);
}

void page_end(FILE *f) {
  fputs("<footer>Written by <b>imgrec ", f);
  html_text(f, imgrec_version_string());
  fputs("</b>. One file, no scripts, nothing from the network.</footer>\n"
        "</main>\n</body>\n</html>\n",
        f);
}

# SPDX-License-Identifier: MIT
# Writes imgrec(3) from the public header:
#   awk -v version=0.1.0 -f scripts/man3.awk include/imgrec/imgrec.h
# Comments that begin a line become paragraphs, what they speak of follows as it
# is written; the first comment is the description, and a comment of dashes
# begins a section.

function escaped(text) {
  gsub(/\\/, "\\e", text)
  gsub(/-/, "\\-", text)
  if (text ~ /^[.']/)
    text = "\\&" text
  return text
}

# Ends what is shown as it is written.
function prose() {
  if (shown)
    print ".EE"
  shown = blank = 0
}

function section(title) {
  prose()
  print ".SH " toupper(escaped(title))
}

# A line of a comment, without its signs.  Lists and formulas stay lines.
function comment(text) {
  sub(/^ ?\/?\*+\/? ?/, "", text)
  sub(/ *\*\/$/, "", text)
  if (text == "")
    return
  if (text ~ /^ *- /) {
    sub(/^ *- /, "", text)
    print ".IP \\(bu 2"
  } else if (text ~ /^[A-Z][a-z]+( [a-z]+)*$/ && first) {
    print ".SS " escaped(text)
    return
  } else if (text ~ /^  ? ?[^ ]/ && !first) {
    print ".br"
  }
  sub(/^ +/, "", text)
  print escaped(text)
}

BEGIN {
  print ".\\\" Written by scripts/man3.awk from imgrec.h."
  print ".TH IMGREC 3 \"\" \"libimgrec " version "\" \"Library Functions Manual\""
  print ".nh\n.ad l\n.SH NAME"
  print "imgrec \\- train and run convolutional image recognisers on the CPU"
  print ".SH SYNOPSIS"
  print ".nf\n.B #include <imgrec/imgrec.h>\n.fi\n.PP"
  print "cc program.c $(pkg\\-config \\-\\-cflags \\-\\-libs imgrec)"
  print ".SH DESCRIPTION"
  first = 1
}

# What a compiler needs and a reader does not.
/^#(if|ifndef|ifdef|else|endif|include|define IMGREC_(IMGREC_H|API))/ { next }
/^#define IMGREC_API/ || /^extern "C"/ || /^\/\* SPDX/ { next }
/^}$/ && !inside { next }

/^\/\* ---- / {
  sub(/^\/\* -+ /, "")
  sub(/ -* *\*\/$/, "")
  section($0)
  next
}

/^\/\*/ {
  prose()
  if (!first || started)
    print ".PP"
  talking = 1
}

talking {
  # The first line of the header only says the name again.
  if (!(first && / imgrec - /))
    comment($0)
  started = 1
  if (/\*\/$/) {
    talking = 0
    first = 0
  }
  next
}

!NF { blank = shown }

NF {
  if (!shown)
    print ".PP\n.EX"
  else if (blank)
    print ""
  shown = 1
  blank = 0
  sub(/^IMGREC_API /, "")
  print escaped($0)
}

/\{$/ { inside = 1 }
/^\}/ { inside = 0 }

END {
  prose()
  print ".SH SEE ALSO"
  print ".BR imgrec (1)"
}

/* SPDX-License-Identifier: MIT */
/* What is known about the data of a run, as a table and as JSON. */
#include <stdlib.h>
#include <string.h>

#include "data_care.h"

#define CLASSES_SHOWN   20 /* more are summed up */
#define CONFLICTS_SHOWN 5
#define LISTED          100
#define LABEL_WIDTH     24

/* ---- Rows --------------------------------------------------------------- */

static void row(const char *name) {
  printf("  %-*.*s", LABEL_WIDTH, 200, name);
}

static void cell(int64_t x) { printf(" %9lld", (long long)x); }

static void cell_text(const char *text) { printf(" %9s", text); }

static int find_label(const imgrec_dataset *data, const char *label) {
  for (int i = 0; i < imgrec_dataset_classes(data); i++)
    if (strcmp(imgrec_dataset_label(data, i), label) == 0)
      return i;
  return -1;
}

static void print_class_rows(const struct care *c, int64_t *const *counts) {
  char name[NAME_SIZE];
  for (int k = 0; k < imgrec_dataset_classes(c->sets[0]); k++) {
    const char *label = imgrec_dataset_label(c->sets[0], k);
    row(printable(name, LABEL_WIDTH + 1, label));
    for (int i = 0; i < c->count; i++) {
      int own = i == 0 ? k : find_label(c->sets[i], label);
      cell(own < 0 ? 0 : counts[i][own]);
    }
    putchar('\n');
  }
}

static int compare_counts(const void *a, const void *b) {
  const int64_t *x = a, *y = b;
  return (*x > *y) - (*x < *y);
}

/* The least, the median and the greatest count of each set, and which classes
 * have the least and the greatest of the first. */
static void print_class_summary(const struct care *c, int64_t *const *counts) {
  static const char *const names[] = {"smallest class", "median class",
                                      "largest class"};
  int classes = imgrec_dataset_classes(c->sets[0]), low = 0, high = 0;
  for (int k = 1; k < classes; k++) {
    low = counts[0][k] < counts[0][low] ? k : low;
    high = counts[0][k] > counts[0][high] ? k : high;
  }
  for (int i = 0; i < c->count; i++)
    qsort(counts[i], (size_t)imgrec_dataset_classes(c->sets[i]),
          sizeof *counts[i], compare_counts);
  for (int r = 0; r < 3; r++) {
    char name[NAME_SIZE];
    row(names[r]);
    for (int i = 0; i < c->count; i++) {
      int n = imgrec_dataset_classes(c->sets[i]);
      cell(counts[i][r == 0 ? 0 : r == 1 ? n / 2 : n - 1]);
    }
    if (r != 1)
      printf("   %s",
             printable(name, 40,
                       imgrec_dataset_label(c->sets[0], r ? high : low)));
    putchar('\n');
  }
}

static void print_classes(const struct care *c) {
  int64_t *counts[CARE_SETS] = {NULL};
  int ok = 1, classes = imgrec_dataset_classes(c->sets[0]);
  for (int i = 0; i < c->count; i++)
    ok = (counts[i] = count_by_class(c->sets[i])) != NULL && ok;
  row("classes");
  for (int i = 0; i < c->count; i++)
    cell(imgrec_dataset_classes(c->sets[i]));
  putchar('\n');
  if (ok && classes <= CLASSES_SHOWN)
    print_class_rows(c, counts);
  else if (ok)
    print_class_summary(c, counts);
  for (int i = 0; i < c->count; i++)
    free(counts[i]);
}

/* ---- The table ---------------------------------------------------------- */

static void print_sides(const struct care *c) {
  static const char *const names[] = {"least height x width", "median",
                                      "greatest"};
  imgrec_data_summary s[CARE_SETS];
  int one_size = 1;
  for (int i = 0; i < c->count; i++) {
    s[i] = care_summary(c, i);
    one_size = one_size && s[i].height[0] == s[i].height[2] &&
               s[i].width[0] == s[i].width[2];
  }
  for (int r = 0; r < (one_size ? 1 : 3); r++) {
    row(one_size ? "height x width" : names[r]);
    for (int i = 0; i < c->count; i++) {
      char text[32];
      snprintf(text, sizeof text, "%dx%d", (int)s[i].height[r],
               (int)s[i].width[r]);
      cell_text(text);
    }
    putchar('\n');
  }
}

/* One number of each set; no row where all are 0. */
static void print_count(const struct care *c, const char *name,
                        int64_t (*get)(const imgrec_data_summary *)) {
  int64_t values[CARE_SETS], sum = 0;
  for (int i = 0; i < c->count; i++) {
    imgrec_data_summary s = care_summary(c, i);
    values[i] = get(&s);
    sum += values[i];
  }
  if (sum == 0)
    return;
  row(name);
  for (int i = 0; i < c->count; i++)
    cell(values[i]);
  putchar('\n');
}

static int64_t get_images(const imgrec_data_summary *s) { return s->images; }
static int64_t get_bad(const imgrec_data_summary *s) { return s->unreadable; }
static int64_t get_grey(const imgrec_data_summary *s) { return s->grey; }
static int64_t get_exact(const imgrec_data_summary *s) { return s->exact; }
static int64_t get_near(const imgrec_data_summary *s) {
  return s->near_duplicates;
}
static int64_t get_exact_else(const imgrec_data_summary *s) {
  return s->exact_elsewhere;
}
static int64_t get_near_else(const imgrec_data_summary *s) {
  return s->near_elsewhere;
}
static int64_t get_conflicts(const imgrec_data_summary *s) {
  return s->conflicting;
}

static void print_table(const struct care *c) {
  row("");
  for (int i = 0; i < c->count; i++)
    cell_text(c->names[i]);
  putchar('\n');
  print_count(c, "images", get_images);
  print_classes(c);
  print_sides(c);
  print_count(c, "grey images", get_grey);
  print_count(c, "unreadable files", get_bad);
  print_count(c, "twice: exactly", get_exact);
  print_count(c, "twice: nearly", get_near);
  print_count(c, "in a part before: exactly", get_exact_else);
  print_count(c, "in a part before: nearly", get_near_else);
  print_count(c, "twice, labels differ", get_conflicts);
}

/* ---- What needs attention ----------------------------------------------- */

const char *source_and_label(char *out, size_t size, imgrec_dataset *data,
                             int64_t index) {
  char source[NAME_SIZE], label[NAME_SIZE];
  snprintf(
      out, size, "%s (%s)",
      printable(source, sizeof source, imgrec_dataset_source(data, index)),
      printable(label, sizeof label,
                imgrec_dataset_label(data, imgrec_dataset_class(data, index))));
  return out;
}

static void print_pair(const struct care *c, const imgrec_duplicate *d) {
  char image[2 * NAME_SIZE + 4], original[2 * NAME_SIZE + 4];
  printf("  %s is %s %s\n",
         source_and_label(image, sizeof image, c->sets[d->set], d->image),
         d->kind == IMGREC_DUPLICATE_EXACT ? "exactly" : "nearly",
         source_and_label(original, sizeof original, c->sets[d->original_set],
                          d->original));
}

static int is_conflict(const imgrec_duplicate *d) { return !d->same_label; }
static int is_any(const imgrec_duplicate *d) { return d->same_label; }

/* The pairs that `wanted` is 1 for, under `title`. */
static void print_pairs(const struct care *c, const char *title, int64_t shown,
                        int (*wanted)(const imgrec_duplicate *)) {
  int64_t n = imgrec_examination_duplicates(c->found), count = 0;
  for (int64_t i = 0; i < n; i++) {
    imgrec_duplicate d;
    imgrec_duplicate_init(&d, sizeof d);
    imgrec_examination_duplicate(c->found, i, &d);
    if (!wanted(&d))
      continue;
    if (count == 0)
      printf("%s:\n", title);
    if (count++ < shown)
      print_pair(c, &d);
  }
  if (count > shown)
    printf("  and %lld more\n", (long long)(count - shown));
}

static void print_overlaps(const struct care *c) {
  int train = care_find(c, "train");
  for (int i = 0; i < c->count && train >= 0; i++) {
    struct overlap o = care_overlap(c, i, train);
    if (i == train || o.images == 0)
      continue;
    printf("%lld %s image%s also trained on (%lld exactly, %lld nearly)%s\n",
           (long long)o.images, c->names[i], o.images == 1 ? " is" : "s are",
           (long long)o.exact, (long long)(o.images - o.exact),
           strcmp(c->names[i], "val") == 0
               ? ": left out of validation"
               : ": its accuracy is too good by these");
  }
}

void print_data_table(const struct care *c, int all) {
  print_table(c);
  print_overlaps(c);
  print_pairs(c, "the same picture with different labels",
              all ? LISTED : CONFLICTS_SHOWN, is_conflict);
  if (all)
    print_pairs(c, "the same picture twice", LISTED, is_any);
  fflush(stdout);
}

/* ---- JSON --------------------------------------------------------------- */

static void json_sides(struct json_out *j, const char *name,
                       const int32_t side[3]) {
  json_key(j, name), json_open(j, '[');
  for (int i = 0; i < 3; i++)
    json_integer(j, side[i]);
  json_close(j, ']');
}

static void json_counts(struct json_out *j, const imgrec_dataset *data) {
  int64_t *counts = count_by_class(data);
  json_key(j, "classes"), json_open(j, '{');
  for (int k = 0; counts != NULL && k < imgrec_dataset_classes(data); k++)
    json_key(j, imgrec_dataset_label(data, k)), json_integer(j, counts[k]);
  json_close(j, '}');
  free(counts);
}

static void json_set(struct json_out *j, const struct care *c, int set) {
  imgrec_data_summary s = care_summary(c, set);
  json_open(j, '{');
  json_key(j, "part"), json_string(j, c->names[set]);
  json_key(j, "images"), json_integer(j, s.images);
  json_key(j, "unreadable"), json_integer(j, s.unreadable);
  json_key(j, "grey"), json_integer(j, s.grey);
  json_sides(j, "height", s.height);
  json_sides(j, "width", s.width);
  json_key(j, "exact"), json_integer(j, s.exact);
  json_key(j, "near"), json_integer(j, s.near_duplicates);
  json_key(j, "exact_elsewhere"), json_integer(j, s.exact_elsewhere);
  json_key(j, "near_elsewhere"), json_integer(j, s.near_elsewhere);
  json_key(j, "conflicting"), json_integer(j, s.conflicting);
  json_counts(j, c->sets[set]);
  json_close(j, '}');
}

void print_data_json(const struct care *c) {
  struct json_out j = {stdout, 0};
  int train = care_find(c, "train"), val = care_find(c, "val");
  json_open(&j, '{');
  json_key(&j, "event"), json_string(&j, "data");
  json_key(&j, "parts"), json_open(&j, '[');
  for (int i = 0; i < c->count; i++)
    json_set(&j, c, i);
  json_close(&j, ']');
  json_key(&j, "refused_from_validation");
  json_integer(&j,
               train >= 0 && val >= 0 ? care_overlap(c, val, train).images : 0);
  json_finish(&j);
}

void print_duplicates_json(const struct care *c) {
  for (int64_t i = 0; i < imgrec_examination_duplicates(c->found); i++) {
    struct json_out j = {stdout, 0};
    imgrec_duplicate d;
    imgrec_duplicate_init(&d, sizeof d);
    imgrec_examination_duplicate(c->found, i, &d);
    imgrec_dataset *a = c->sets[d.set], *b = c->sets[d.original_set];
    json_open(&j, '{');
    json_key(&j, "event"), json_string(&j, "duplicate");
    json_key(&j, "kind");
    json_string(&j, d.kind == IMGREC_DUPLICATE_EXACT ? "exact" : "near");
    json_key(&j, "difference"), json_float(&j, (double)d.difference);
    json_key(&j, "part"), json_string(&j, c->names[d.set]);
    json_key(&j, "image"), json_string(&j, imgrec_dataset_source(a, d.image));
    json_key(&j, "label");
    json_string(&j, imgrec_dataset_label(a, imgrec_dataset_class(a, d.image)));
    json_key(&j, "original_part"), json_string(&j, c->names[d.original_set]);
    json_key(&j, "original");
    json_string(&j, imgrec_dataset_source(b, d.original));
    json_key(&j, "original_label");
    json_string(&j,
                imgrec_dataset_label(b, imgrec_dataset_class(b, d.original)));
    json_finish(&j);
  }
}

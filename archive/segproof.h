/* What of a segment's file is as it was written, whatever its footer says: behind each fragment a mark holds
 * the CRC-32C of the file up to there (segbox.h). Between two marks all is whole or nothing is believed; a
 * mark is found again behind bytes that are no boxes any more. Behind a hole the picture goes on with a key
 * frame. May block on the disk. Tests: tests/unit/archive/test_repair.c. */
#ifndef ARCHIVE_SEGPROOF_H
#define ARCHIVE_SEGPROOF_H

#include "archive/reader.h"

/* Called between the reads of a long file: the disk answers. NULL: nobody wants to know. */
struct segproof_watch {
    void (*alive)(void *arg);
    void *arg;
};
struct segproof {
    uint64_t bytes; /* behind the last mark that holds; 0: none does */
    uint32_t crc;   /* of so many bytes of the file, as they are */
    unsigned holes; /* stretches before a mark that are not whole; known whatever is returned */
};
/* The table of all that is whole: its info is as a footer would say it, up to ret_proof->bytes. SEG_OK,
 * SEG_E_BAD (nothing is, or it is no segment of ours), -errno, -ENOMEM. */
int segproof_table(
    int fd, const struct segproof_watch *watch, struct seg_table **ret, struct segproof *ret_proof);
/* By the fragments: of a file that goes on behind byte `bytes` those before it, as one follows the other; of
 * one that does not, all that is whole (of a very long one without looking at the media, unless some lie
 * behind bytes that are no boxes). SEG_OK, SEG_E_BAD (none), -errno, -ENOMEM. */
int seg_table_fragments(int fd, uint64_t bytes, struct seg_table **ret);
/* By the footer; where there is none, or it is damaged, by the fragments. The same. */
int seg_table_any(int fd, uint64_t bytes, struct seg_table **ret);
/* Takes the file's bytes from `at` to `end` into *crc. 0 or -errno. */
int segproof_crc(int fd, uint64_t at, uint64_t end, const struct segproof_watch *watch, uint32_t *crc);
/* Is every byte what its footer says, and this what info says? SEG_OK, SEG_E_BAD, SEG_E_NO_FOOTER (or it is
 * another's footer), -errno. */
int segproof_file(int fd, const struct seg_info *info, const struct segproof_watch *watch);

#endif

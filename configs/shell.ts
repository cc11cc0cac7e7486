/** Words for a POSIX shell, quoted where any of them could mean anything but itself. */
export function shellWords(words: readonly string[]): string {
  return words
    .map((word) => (/^[\w.,:/@%+=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(" ");
}

/** A word for a POSIX shell that means nothing but itself. */
export function shellWord(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/**
 * Function `passed SINCE SECONDS`: whether so much time has passed since a Unix time. A time that is still to come counts
 * as long past: the clock was wrong when it was noted.
 */
export const passedFunction = `passed() {
  [ "$(date +%s)" -lt "$1" ] || [ "$(date +%s)" -ge $(($1 + $2)) ]
}
`;

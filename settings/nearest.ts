/**
 * The candidate that a misspelt word most likely meant, or undefined when none is near.
 *
 * Near means an optimal string alignment distance (Levenshtein's with transpositions of neighbours) of at most a third
 * of the word's length, and at least one.
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const limit = Math.max(1, Math.floor(word.length / 3));
  const ranked = candidates
    .map((candidate) => ({ candidate, distance: distance(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best && best.distance <= limit ? best.candidate : undefined;
}

function distance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, column) => column)];
  for (let row = 1; row <= a.length; row++) {
    const above = rows[row - 1]!;
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const substitution = above[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1);
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      const transposition = swapped ? rows[row - 2]![column - 2]! + 1 : Infinity;
      current.push(Math.min(substitution, above[column]! + 1, current[column - 1]! + 1, transposition));
    }
    rows.push(current);
  }
  return rows[a.length]![b.length]!;
}

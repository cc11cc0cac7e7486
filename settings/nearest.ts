import damerauLevenshtein from "damerau-levenshtein";

/**
 * The candidate that a misspelt word most likely meant, or undefined when none is near.
 *
 * Near means an optimal string alignment distance (Levenshtein's with transpositions of neighbours) of at most a third
 * of the word's length, and at least one.
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const limit = Math.max(1, Math.floor(word.length / 3));
  const [best] = candidates
    .map((candidate) => ({
      candidate,
      distance: damerauLevenshtein(word.toLowerCase(), candidate.toLowerCase()).steps,
    }))
    .sort((a, b) => a.distance - b.distance);
  return best && best.distance <= limit ? best.candidate : undefined;
}

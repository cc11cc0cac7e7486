/**
 * What an HTTP tracker answers without TLS: these paths, and what lies below the folders, where the key of a private
 * tracker stands. Nothing else of the stack is served in the clear.
 */
export const plainPaths = ["/announce", "/scrape", "/health_check"] as const;
export const plainFolders = ["/announce/", "/scrape/"] as const;

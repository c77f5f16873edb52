/** What thousands of rows do is the object's matter, whose own suites run these, too: over a wire each row is a request. */
export const manyRequests = {
  "thousands of requests, of which each costs milliseconds here; they run against the object": [
    "[MS20] a high one is first, and not hidden, behind more than a thousand low ones",
    "[MS7] of what is acknowledged out of order a thousand are remembered; what is more comes again until the gap is closed",
    "[MS7] with wildcards, too, nothing is lost beside thousands that are for all",
  ],
} as const;

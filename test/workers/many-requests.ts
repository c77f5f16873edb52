/** What thousands of rows do is the object's matter, whose own suites run these, too: over a wire each row is a request. */
export const manyRequests = {
  "thousands of requests, of which each costs milliseconds here; they run against the object": [
    "a high one is first, behind more than a thousand low ones",
    "a thousand acks out of order are remembered; the rest comes again",
    "with wildcards, too, nothing is lost beside thousands that are for all",
  ],
} as const;

import * as fc from "fast-check";
import type { Candidate } from "#src/coordination/tasks/candidates.ts";

/** Chats as the choice among them sees them. */

const labels = ["web", "db"] as const;

export const aCandidate = (chat: string, fields: Partial<Candidate> = {}): Candidate => ({
  chat,
  running: 0,
  capacity: 3,
  capabilities: [],
  performance: null,
  lastAssignedAt: null,
  ...fields,
});

export const anyTask = { capabilities: [], affinity: null };

export const anyChatLoad = fc.record({
  running: fc.integer({ min: 0, max: 5 }),
  capacity: fc.integer({ min: 0, max: 5 }),
  capabilities: fc.subarray([...labels]),
});

export const anyWanted = fc.record({
  capabilities: fc.subarray([...labels]),
  affinity: fc.option(fc.constantFrom("c0", "c1", "c5", "gone")),
});

/**
 * damaged: bytes hold no row, rows are missing, or its client does not send all of it. poisoned:
 * the API refuses it. invisible: its client does not list it. expiring: its client's clean-up
 * deletes it within a week. The worst of several is the state of a session.
 */
export const storedStates = ["damaged", "poisoned", "invisible", "expiring", "whole"] as const;

/** Kinds of findings in SHIM's own records: the labels of a metric, so a closed set. */
export const opportunityPatterns = [
  "old_checkpoint_at_death",
  "overdue_checkpoints",
  "context_full_unseen",
  "out_of_memory_unseen",
  "large_store",
  "offers_dismissed",
  "offers_ignored",
  "brief_cut",
  "rediscovery",
  "task_retries",
  "task_timeouts",
  "task_stalls",
  "task_poison",
  "waits_with_idle_chats",
  "uneven_load",
  "chats_came_back",
  "cheaper_model",
  "evolve_rejected",
] as const;
export type OpportunityPattern = (typeof opportunityPatterns)[number];

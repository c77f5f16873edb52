import { GetBudgets } from "./budgets.ts";
import * as workspaces from "./workspaces.ts";
import { type Operation } from "./operation.ts";

export const workspaceOperations = {
  "settings.get": {
    method: "GET",
    path: "/settings",
    scope: "observe",
    ...workspaces.GetSettings,
    errors: [],
    summary: "Limits and times of the workspace.",
  },
  "settings.set": {
    method: "PUT",
    path: "/settings",
    scope: "admin",
    ...workspaces.SetSettings,
    errors: [],
    summary: "Changes limits and times; what is not named stays.",
  },
  "budgets.get": {
    method: "GET",
    path: "/budgets",
    scope: "observe",
    ...GetBudgets,
    errors: [],
    summary: "Limits of what work may use, and what it has used.",
  },
  "audit.list": {
    method: "GET",
    path: "/audit",
    scope: "admin",
    ...workspaces.ListAudit,
    errors: [],
    summary: "What changed hands, newest first.",
  },
  "epoch.raise": {
    method: "POST",
    path: "/epoch/raise",
    scope: "admin",
    ...workspaces.RaiseEpoch,
    errors: ["key_reused"],
    summary:
      "After a restore: no number comes a second time, and no lease is granted before those that were lost have run out.",
  },
  "tokens.create": {
    method: "POST",
    path: "/tokens",
    scope: "admin",
    ...workspaces.CreateToken,
    errors: ["quota_exceeded", "key_reused"],
    summary: "A token for one machine.",
  },
  "tokens.list": {
    method: "GET",
    path: "/tokens",
    scope: "admin",
    ...workspaces.ListTokens,
    errors: [],
    summary: "All tokens, without their secrets.",
  },
  "tokens.revoke": {
    method: "POST",
    path: "/tokens/revoke",
    scope: "admin",
    ...workspaces.RevokeToken,
    errors: ["unknown_token"],
    summary: "The token works no more, and its sockets are closed.",
  },
  health: {
    method: "GET",
    path: "/health",
    scope: "observe",
    ...workspaces.GetHealth,
    errors: [],
    summary: "Armed alarm, overdue rows, sockets, versions.",
  },
} as const satisfies Record<string, Operation>;

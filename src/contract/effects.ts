/** Kinds of commands that cannot be undone, each with what it does in words for a person. */
export const effectKinds = {
  push: "changes a remote repository",
  publish: "publishes a package or an image",
  release: "makes or changes a release",
  deployment: "deploys, or changes infrastructure",
  migration: "changes a database",
  deletion: "deletes something remote",
  message: "sends or posts what others read",
} as const;
export type EffectKind = keyof typeof effectKinds;
export const effectKindNames = Object.keys(effectKinds) as EffectKind[];

/** A command that cannot be undone. The user adds more with `effects.commands`. */
export interface EffectCommand {
  /**
   * The program and its words in their order, `|` between alternatives, `*` as wildcard; for a
   * tool of an MCP server its name. Options may stand anywhere.
   */
  readonly words: string;
  readonly kind: EffectKind;
  /** Words with which it does nothing, in the same form. */
  readonly unless?: string | undefined;
  /** Words with which its target does it only once: a repetition changes nothing, or is refused. */
  readonly once?: string | undefined;
  /**
   * Command by which a person finds out. `{0}`: its program; `{1}`: the word behind those above;
   * `{subject}`.
   */
  readonly check?: string | undefined;
}

/** Words with which no command of the table does anything. */
export const harmlessWords = "--dry-run*|--dryrun|--help|--version";

const packages = "npm|pnpm|yarn|bun";
const trials = "-n|*dry*|*build*|*test*|*preview*|*check*|*local*|*status*|*create*|*generate*|*new*";

/** The first that fits counts. */
const byKind: Readonly<Record<EffectKind, readonly Omit<EffectCommand, "kind">[]>> = {
  push: [
    { words: "git push -f*|--force*|-d|--delete|--mirror|--prune", unless: "-n|stash" },
    { words: "git push * +*|:*", unless: "-n|stash" },
    { words: "git push", unless: "-n|stash", once: "push" },
    { words: "gh repo create|edit|rename|sync", once: "create" },
    { words: "*_push_files|*_create_or_update_file|*_create_branch" },
  ],
  publish: [
    {
      words: `${packages} publish|unpublish`,
      unless: "run|run-script|exec",
      once: "publish",
      check: "npm view {subject} version",
    },
    { words: "cargo|poetry|uv publish|yank", unless: "-n", once: "publish" },
    { words: "twine|gem upload|push|yank", once: "upload|push" },
    { words: "docker|podman push" },
  ],
  release: [
    { words: "gh|glab release create|edit|upload", once: "create", check: "{0} release view {1}" },
    { words: "gh|glab release delete" },
  ],
  deployment: [
    { words: "gh workflow|run run|rerun|cancel|delete", check: "gh run list" },
    { words: "wrangler deploy|rollback|delete", check: "wrangler deployments list" },
    { words: "vercel|netlify deploy|promote|rollback|--prod", unless: "--build-only" },
    { words: "fly|flyctl|railway|firebase|kamal deploy|up", check: "fly releases" },
    { words: "gcloud app|run|functions deploy" },
    { words: "sam|cdk|sst|serverless|sls deploy|destroy|remove", unless: "--no-execute" },
    { words: "terraform|tofu|terragrunt|pulumi apply|destroy|up" },
    { words: "kubectl apply|create|replace|patch|scale|set|delete|drain|rollout", unless: "status|history" },
    { words: "helm install|upgrade|uninstall|delete|rollback", check: "helm status {1}" },
    { words: "ansible-playbook *", unless: "--check|-c|--syntax-check|--list-*" },
    { words: `${packages} run|run-script deploy*|release*|publish*`, unless: trials },
    { words: "pnpm|yarn|bun|make|just|task deploy|deploy:*|deploy-*|release|release:*", unless: trials },
    { words: "*_deploy_to_*|*_create_deployment|*_deploy_site" },
  ],
  migration: [
    {
      words: "wrangler d1 migrations apply",
      unless: "--local",
      once: "apply",
      check: "wrangler d1 migrations list {1}",
    },
    { words: "wrangler d1 execute * --remote insert*|update*|delete*|drop*|alter*|create*" },
    { words: "prisma migrate deploy|reset", once: "deploy", check: "prisma migrate status" },
    { words: "prisma|supabase db push|reset", unless: "--local", once: "push" },
    { words: "drizzle-kit migrate|push", once: "migrate|push" },
    { words: "alembic upgrade|downgrade", unless: "--sql", once: "head|heads", check: "alembic current" },
    {
      words: "rails|rake db:migrate*|db:rollback|db:drop|db:reset",
      unless: "db:migrate:status",
      once: "db:migrate",
      check: "rails db:migrate:status",
    },
    {
      words: "manage.py migrate|flush",
      unless: "--plan|--check",
      once: "migrate",
      check: "python manage.py showmigrations",
    },
    {
      words: "artisan migrate*",
      unless: "migrate:status|--pretend",
      once: "migrate",
      check: "php artisan migrate:status",
    },
    { words: "pnpm|yarn|bun|make|just|task migrate|migrate:*|*:migrate|*:migrate:*", unless: trials },
    { words: `${packages} run|run-script *migrat*`, unless: trials },
    { words: "*_apply_migration" },
  ],
  deletion: [
    { words: "gh api -x|--method delete", unless: "graphql" },
    { words: "gh repo|gist|secret|variable|label delete|remove|archive" },
    { words: "aws s3 rm|rb" },
    { words: "aws|gcloud|az * delete|delete-*|terminate-*" },
    { words: "gcloud|az * * delete" },
  ],
  message: [
    {
      words: "gh|glab pr|mr create|merge|close|comment|review|reopen|edit|ready|revert",
      once: "create|merge",
      check: "gh pr list --state all",
    },
    { words: "gh|glab issue create|close|comment|delete|transfer|reopen|edit", check: "gh issue list --state all" },
    { words: "gh api -x|--method post|put|patch", unless: "graphql" },
    { words: "gh api -f|--field|--raw-field|--input", unless: "graphql|get" },
    { words: "gh api graphql query=*mutation*" },
    {
      words: "*_send_email|*_send_mail|*_send_message|*_post_message|*_create_issue|*_update_issue",
      // Codex's sub-agents write to each other so.
      unless: "collaboration__*",
    },
    { words: "*_create_comment|*_add_issue_comment|*_create_pull_request|*_merge_pull_request" },
  ],
};

export const effectCommands: readonly EffectCommand[] = effectKindNames.flatMap((kind) =>
  byKind[kind].map((one) => Object.assign({ kind }, one)),
);

/** Outcomes; `refused`: SHIM did not let it run. */
export const effectOutcomes = ["done", "failed", "unknown", "refused"] as const;
export type EffectOutcome = (typeof effectOutcomes)[number];

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
   * `{before}`, `{behind}`: the words around the last of those; `{subject}`.
   */
  readonly check?: string | undefined;
}

/** Words with which no command of the table does anything. */
export const harmlessWords = "--dry-run*|--dryrun|--help|--version";

const scripts = "npm|pnpm|yarn|bun";

/** The first that fits counts. */
const byKind: Readonly<Record<EffectKind, readonly Omit<EffectCommand, "kind">[]>> = {
  push: [
    { words: "git push -f*|--force*|-d|--delete|--mirror|--prune", unless: "-n|stash" },
    { words: "git push * +*|:*", unless: "-n|stash" },
    { words: "git push", unless: "-n|stash", once: "push" },
    { words: "jj git push" },
    { words: "hg push", unless: "-n" },
    { words: "gh repo create|edit|rename|sync", once: "create" },
    { words: "*_push_files|*_create_or_update_file|*_create_branch" },
  ],
  publish: [
    {
      words: `${scripts}|lerna|changeset publish|unpublish`,
      unless: "run|run-script|exec",
      once: "publish",
      check: "npm view {subject} version",
    },
    { words: "yarn npm publish", once: "publish", check: "npm view {subject} version" },
    { words: "npm|pnpm deprecate|dist-tag", unless: "ls" },
    { words: "cargo publish|yank", unless: "-n|--list", once: "publish" },
    { words: "poetry|uv|flit|hatch|pdm|maturin|vsce|ovsx publish", once: "publish" },
    { words: "twine upload", once: "upload" },
    { words: "gem push|yank", once: "push" },
    { words: "mvn*|gradle*|gradlew* deploy|publish*", unless: "publishToMavenLocal|-m|--dry-run" },
    { words: "dotnet|nuget nuget push", once: "push" },
    { words: "docker|podman push", check: "{0} manifest inspect {1}" },
    { words: "docker|podman image|manifest push", check: "{0} manifest inspect {1}" },
    { words: "mix hex.publish" },
    { words: "dart|flutter pub publish", unless: "-n" },
    { words: "pod trunk push" },
    { words: "helm push" },
  ],
  release: [
    { words: "gh|glab release create|edit|upload", once: "create", check: "{0} release view {1}" },
    { words: "gh|glab release delete" },
    { words: "goreleaser release", unless: "--snapshot|--skip*publish*" },
    { words: "semantic-release|release-it", unless: "-d" },
  ],
  deployment: [
    { words: "gh workflow|run run|rerun|cancel|delete", check: "gh run list" },
    { words: "gh secret|variable set" },
    { words: "wrangler deploy|publish|rollback", check: "wrangler deployments list" },
    { words: "wrangler pages|versions deploy", check: "wrangler deployments list" },
    { words: "wrangler secret put|delete|bulk", check: "wrangler secret list" },
    { words: "wrangler r2|kv object|key|bulk put|delete", unless: "--local" },
    { words: "vercel|netlify deploy|promote|rollback|--prod", unless: "--build-only", check: "vercel ls" },
    { words: "firebase deploy" },
    { words: "fly|flyctl|railway|eas deploy|up|submit", check: "fly releases" },
    { words: "gcloud app|run|functions deploy" },
    { words: "sam|cdk|sst|serverless|sls|copilot|eb deploy|destroy|remove|up", unless: "--noexecute|--no-execute" },
    {
      words: "terraform|tofu apply",
      check: "{0} {before} plan -detailed-exitcode -input=false -lock=false -refresh=false {behind}",
    },
    { words: "terraform|tofu destroy", check: "{0} {before} state list" },
    { words: "terragrunt|pulumi apply|destroy|up" },
    { words: "kubectl|oc apply", check: "{0} {before} diff {behind}" },
    { words: "kubectl|oc create|replace|patch|scale|set|delete|drain", check: "{0} {before} get {1}" },
    { words: "kubectl|oc rollout restart|undo" },
    { words: "helm install|upgrade|uninstall|delete|rollback", check: "helm status {1}" },
    { words: "ansible-playbook *", unless: "--check|-c|--syntax-check|--list-*" },
    { words: "cap *", unless: "-n|-t" },
    { words: "kamal deploy|redeploy|rollback" },
    {
      words: `${scripts} run|run-script deploy*|release*|publish*`,
      unless: "*dry*|*build*|*test*|*preview*|*check*|*local*",
    },
    {
      words: "pnpm|yarn|bun deploy|deploy:*|release|release:*",
      unless: "*dry*|*build*|*test*|*preview*|*check*|*local*",
    },
    { words: "make|just|task deploy*|release*|publish*|migrate*", unless: "-n|*dry*|*build*|*test*|*check*" },
    { words: "*_deploy_to_*|*_create_deployment|*_deploy_site" },
  ],
  migration: [
    { words: "wrangler d1 execute * --remote insert*|update*|delete*|drop*|alter*|create*" },
    {
      words: "wrangler d1 migrations|delete apply|*",
      unless: "--local|list|create",
      once: "apply",
      check: "wrangler d1 migrations list {1}",
    },
    { words: "prisma migrate deploy|reset", once: "deploy", check: "prisma migrate status" },
    { words: "prisma|supabase db push|reset", unless: "--local", once: "push" },
    { words: "drizzle-kit migrate|push", once: "migrate|push" },
    {
      words: "knex migrate:latest|migrate:up|migrate:down|migrate:rollback",
      once: "migrate:latest",
      check: "knex migrate:status",
    },
    {
      words: "sequelize* db:migrate*|db:drop|db:seed*",
      unless: "db:migrate:status",
      once: "db:migrate",
      check: "sequelize db:migrate:status",
    },
    {
      words: "typeorm* migration:run|migration:revert|schema:sync|schema:drop",
      once: "migration:run",
      check: "typeorm migration:show",
    },
    { words: "alembic upgrade|downgrade", unless: "--sql", once: "head|heads", check: "alembic current" },
    {
      words: "dbmate|flyway|goose|liquibase up|down|migrate|rollback*|undo|clean|drop|update",
      once: "up|migrate|update",
    },
    {
      words: "rails|rake|mix db:migrate*|db:rollback|db:drop|db:reset|ecto.migrate|ecto.rollback|ecto.drop",
      unless: "db:migrate:status",
      once: "db:migrate|ecto.migrate",
      check: "rails db:migrate:status",
    },
    {
      words: "manage.py|django-admin migrate|flush",
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
    { words: "dotnet* ef database update|drop", check: "dotnet ef migrations list" },
    { words: "pnpm|yarn|bun migrate|migrate:*|*:migrate|*:migrate:*", unless: "*dry*|*test*|*status*" },
    { words: `${scripts} run|run-script *migrat*`, unless: "*dry*|*status*|*test*|*create*|*generate*|*make*|*new*" },
    { words: "*_apply_migration" },
  ],
  deletion: [
    { words: "gh api -x|--method delete", unless: "graphql" },
    { words: "gh repo|gist|secret|variable|cache|label delete|remove|archive" },
    { words: "wrangler delete" },
    { words: "aws s3 rm|rb|mv|sync|cp", unless: "cp|sync" },
    { words: "aws * delete-*|terminate-*" },
    { words: "gcloud|az|doctl|heroku * delete|destroy" },
    { words: "gcloud|az|doctl * * delete|destroy" },
  ],
  message: [
    {
      words: "gh|glab pr|mr create|merge|close|comment|review|reopen|edit|ready|revert|update-branch",
      once: "create|merge",
      check: "gh pr list --state all",
    },
    { words: "gh|glab issue create|close|comment|delete|transfer|reopen|edit", check: "gh issue list --state all" },
    { words: "gh discussion create|comment|edit|close|delete" },
    { words: "gh api -x|--method post|put|patch", unless: "graphql" },
    { words: "gh api -f|--field|--raw-field|--input", unless: "graphql|get" },
    { words: "gh api graphql query=*mutation*" },
    { words: "mail|mailx|mutt|neomutt *" },
    { words: "sendmail|msmtp|swaks" },
    {
      words:
        "*_send_email|*_send_mail|*_send_message|*_post_message|*_create_issue|*_update_issue|*_create_comment|*_create_document|*_update_document|*_create_pull_request|*_merge_pull_request|*_add_issue_comment",
    },
  ],
};

export const effectCommands: readonly EffectCommand[] = effectKindNames.flatMap((kind) =>
  byKind[kind].map((one) => Object.assign({ kind }, one)),
);

/** Outcomes; `refused`: SHIM did not let it run. */
export const effectOutcomes = ["done", "failed", "unknown", "refused"] as const;
export type EffectOutcome = (typeof effectOutcomes)[number];

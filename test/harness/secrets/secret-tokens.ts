/**
 * A token of each format that the redaction knows, one for each prefix: what the issuer fixes is written out, the rest is
 * drawn from a seed, so that the repository holds no secret.
 */
const table = String.raw`
aws-access-key AKIA«base32 16» | aws-bedrock-key ABSK«base62 100» | shim-key shimkey-«url 48»
shim-token shim_eyJ«url 80».«url 43» | github-token ghp_«base62 36» | github-token github_pat_«base62 22»_«base62 59»
gitlab-token glpat-«base62 27».01.«low 9» | slack-token xoxb-«digits 12»-«digits 13»-«base62 24»
slack-token xapp-1-A«caps 10»-«digits 13»-«hex 64»
slack-webhook hooks.slack.com/services/T«caps 8»/B«caps 10»/«base62 24»
discord-webhook discord.com/api/webhooks/«digits 18»/«url 68» | telegram-token :AA«url 33»
stripe-key sk_live_«base62 24» | webhook-secret whsec_«base62 32» | alibaba-key LTAI«base62 20»
easypost-key EZAK«base62 54» | openshift-token sha256~«url 43» | anthropic-key sk-ant-api03-«url 93»AA
openai-key sk-proj-«url 74»T3BlbkFJ«url 74» | openai-key sk-«base62 20»T3BlbkFJ«base62 20»
google-api-key AIza«url 35» | google-oauth ya29.«url 120» | google-oauth GOCSPX-«url 28» | google-oauth 1//0«url 60»
npm-token npm_«base62 36» | pypi-token pypi-AgEIcHlwaS5vcmc«url 150» | rubygems-key rubygems_«hex 48»
nuget-key oy2«low 43» | docker-token dckr_pat_«url 27» | cloudflare-token cfut_«base62 48»
cloudflare-token v1.0-«hex 24»-«hex 146» | cloudflare-token eyJhIjoi«base62 100» | twilio-key SK«hex 32»
sendgrid-key SG.«url 22».«url 43» | mailgun-key key-«hex 32» | brevo-key xkeysib-«hex 64»-«base62 16»
shopify-token shpat_«hex 32» | linear-key lin_api_«base62 40» | notion-token ntn_«digits 11»«base62 35»
notion-token secret_«base62 43» | huggingface-token hf_«letters 34» | groq-key gsk_«base62 52»
xai-key xai-«base62 80» | perplexity-key pplx-«base62 48» | replicate-token r8_«base62 37»
grafana-token glc_«base64 60»= | grafana-token glsa_«base62 32»_«hex 8» | grafana-key eyJrIjoi«base62 100»
vault-token hvs.«url 95» | 1password-token ops_ey«base62 90»
1password-key A3-«caps 6»-«caps 6»-«caps 5»-«caps 5»-«caps 5»-«caps 5» | digitalocean-token dop_v1_«hex 64»
heroku-key HRKU-«url 60» | vercel-token vcp_«base62 56» | figma-token figd_«url 42»
atlassian-token ATATT3xFfGF0«url 170»=«caps 8» | sentry-token sntrys_«base64 90» | newrelic-key NRAK-«caps 27»
newrelic-key NRII-«url 32» | planetscale-token pscale_tkn_«url 43» | supabase-key sb_secret_«url 31»
doppler-token dp.st.prd.«base62 43» | pulumi-token pul-«hex 40» | age-key AGE-SECRET-KEY-1«caps 58»
square-token sq0csp-«url 43» | airtable-token pat«base62 14».«hex 64» | postman-key PMAK-«hex 24»-«hex 34»
sourcegraph-token sgp_«hex 16»_«hex 40» | tailscale-key tskey-auth-«base62 16»-«base62 32»
fly-token fm2_«base64 200» | netlify-token nfp_«base62 36» | netlify-token nfo_«base62 36»
langsmith-key lsv2_pt_«hex 32»_«hex 10» | tavily-key tvly-dev-«base62 32» | pinecone-key pcsk_«base62 60»
resend-key re_«base62 8»_«base62 24» | adobe-secret p8e-«low 32» | aiven-key AVNS_«url 19»
artifactory-key AKCp8«base62 68» | buildkite-token bkua_«hex 40» | circleci-token CCIPAT_«base62 22»_«hex 40»
clojars-token CLOJARS_«hex 60» | contentful-token CFPAT-«url 43» | dbt-token dbtc_«base62 40»
discord-token M«base62 25».«base62 6».«url 38» | docker-swarm-token SWMTKN-1-«low 50»-«low 25»
dropbox-token sl.u.«url 130» | duffel-token duffel_live_«url 43» | dynatrace-token dt0c01.«caps 24».«caps 64»
elevenlabs-key sk_«hex 48» | firecrawl-key fc-«hex 32» | flutterwave-key FLWSECK-«low 32»-X
frameio-token fio-u-«url 64» | harness-token pat.«base62 22».«base62 24».«base62 20» | honeycomb-key hcaik_«low 58»
hubspot-token pat-na1-«uuid» | infracost-key ico-«base62 32» | jina-key jina_«base62 60» | launchdarkly-key sdk-«uuid»
mapbox-token sk.eyJ«base62 40».«base62 22» | mongodb-secret mdb_sa_sk_«url 40» | n8n-key n8n_api_«base62 40»
neon-key napi_«low 64» | nvidia-key nvapi-«url 64» | paddle-key pdl_live_apikey_«low 50»
plaid-token access-production-«uuid» | polar-token polar_oat_«base62 43» | posthog-key phx_«base62 43»
prefect-key pnu_«low 36» | readme-key rdme_«low 70» | scalingo-token tk-us-«url 48»
shippo-token shippo_live_«hex 40» | snyk-token snyk_uat.«hex 8».«url 60» | sonar-token squ_«hex 40»
typeform-token tfp_«base62 59» | url-signature ?sig=«base62 43»%3D | url-signature -Signature=«hex 64» | jwt «jwt»
jwt eyJ«base62 20».«url 40».«url 16».«url 60».«url 22» | crates-token cio«base62 32» | databricks-token dapi«hex 32»
extended-private-key xprv«123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz 107»
azure-secret «base62 3»8Q~«base62 34» | terraform-token «base62 14».atlasv1.«base62 67»`;

/** The kind of each token, and its pattern. */
export const tokens: readonly (readonly [kind: string, pattern: string])[] = table.split(/\n| \| /).flatMap((entry) => {
  const blank = entry.indexOf(" ");
  return blank === -1 ? [] : [[entry.slice(0, blank), entry.slice(blank + 1)] as const];
});

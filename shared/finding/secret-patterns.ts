/*
 * What secrets look like. The formats and names are those that scanners of repositories look for: gitleaks, secretlint
 * and detect-secrets. Every repetition is bounded, so that hostile input can't make a pattern slow.
 */

/** What values are called that must not be shown. What stands before it in the same name doesn't matter. */
const word = [
  'pass(?:words?|wd|phrase|code|wort)|kennwort|senha|contrase(?:n|ñ)a|pwd|secrets?|tokens?|credentials?|creds|jwt|psk',
  // A key is one if it is for something; `public key` and `key` are not.
  '(?:api|access|private|priv|secret|encryption|encrypt|signing|shared|account|storage|master|auth|client|service|licen[cs]e|deploy|app|application|consumer|subscription|database|db|session|hmac|admin|root|cipher|webhook|integration|ingest)[-_ .]?keys?(?:[-_]?base)?',
  '(?<=^|[^a-z]|store|key|db|user|root|admin|my|pg|sql|ldap|bind|smtp|mail|redis|ftp|ssh|sudo|become|vault|proxy|auth|http|api|app|new|old|trust|login|account|wifi|svc|service)pass',
  'authorization|shared[-_]?access[-_]?signature|(?:jsession|phpsess)id',
].join('|');

/** What may follow in such a name without changing what it holds. `secretName`, `tokenFile` and `password_length` do. */
const suffix = String.raw`(?:[-_. ]?(?:value|string|data)|[-_.]?(?:text|txt|plain|plaintext|binary|bytes|hash|hashed|b64|base64|enc|encoded|encrypted|old|new|current|previous|prod|production|dev|staging|stage|stg|test|live|local|main|primary|secondary|backup|confirm|confirmation|admin|root|\d{1,3})){0,2}`;

const name = `(?:${word})${suffix}`;

/** `\"` in JSON that is itself in a JSON text, or just a quotation mark. */
const quote = String.raw`\\{0,7}["']`;

const assignment = String.raw`\s{0,4}(?:=>|->|:[=-]|[=:]{1,3}|%3[AD])\s{0,4}`;

/** A value in quotation marks; those may be escaped. */
const quoted = [
  String.raw`"(?:[^"\\\n]|\\[^\n]){1,4096}`,
  String.raw`'(?:[^'\\\n]|\\[^\n]){1,4096}`,
  String.raw`\\{1,7}["'][^\n]{1,4096}?(?=\\{1,7}["']|$)`,
].join('|');

/** A value without them goes on after a comma, unless what follows has a name of its own; it ends at an escaped line end. */
const plain = String.raw`(?:[^\s"',;&\\]|\\(?![nrt"'])){1,4096}(?:[,;&](?![\w.-]{1,64}[=:])[^\s"',;&\\]{1,1024}){0,8}`;

/**
 * A name and a value: `password=x`, `"token": "x"`, `:secret => 'x'`, `${PASSWORD:-x}`. What a list or an object holds has names of its
 * own.
 */
export const assigned = new RegExp(
  `(?<name>${name})(?<sign>(?:${quote})?${assignment})(?![[{])(?:(?<quoted>${quoted})|(?<plain>${plain}))`,
  'gi',
);

/** `--password x`, `-token x`, `"--api-key", "x"`. */
export const flag = new RegExp(
  String.raw`(${name}(?<=(?:^|[\s"'(])--?[\w.-]{1,96})(?:\s{1,4}|${quote}\s{0,2},\s{0,2}${quote})["']?)(?!-)([^\s"']{1,4096})`,
  'gi',
);

/** The two members of a container's environment variable: {"name": "DB_PASSWORD", "value": "x"}. */
export const variable = new RegExp(
  String.raw`(\bname(?:${quote})?\s{0,4}[=:]\s{0,4}(?:${quote})?[\w.-]{1,128}(?<=${name})(?:${quote})?[\s,]{1,24}(?:${quote})?value(?:${quote})?\s{0,4}[=:]\s{0,4}(?:${quote})?)([^\s"',;&]{1,4096})`,
  'gi',
);

/** `password is "x"`, `the token was set to x1`. */
export const said = new RegExp(
  String.raw`((?:${word})\s(?:is|was)(?:\snow)?(?:\sset\sto)?:?\s(?=["']|[^\s"']{0,64}\d)["']?)([^\s"']{1,1024})`,
  'gi',
);

/** `<password>x</password>`, `<add key="Password" value="x"/>`, `password: |` with the value on the next line. */
export const marked = new RegExp(
  [
    String.raw`(<[\w.:-]{1,128}(?<=${name})(?:\s[^<>]{0,128})?>\s{0,4})[^<>\s][^<>]{0,4096}(?=<\/)`,
    String.raw`(\bkey="[\w.:-]{1,128}(?<=${name})"\s{1,4}value=")[^"]{1,4096}`,
    String.raw`(${name}(?:${quote})?\s{0,4}:\s{0,4}[|>][+-]?[ \t]{0,8}\n\s{1,64})[^\n]{1,4096}`,
  ].join('|'),
  'gi',
);

/** Without any of these words a text names nothing that must not be shown. */
export const anyName = new RegExp(word, 'i');

/** Whether a member's key names a secret. */
export const secretKey = new RegExp(`${name}$`, 'i');

/** Services whose name is all that tells that what follows is a key. */
const services =
  'adafruit|algolia|alibaba|asana|atlassian|confluence|jira|beamer|bitbucket|bittrex|meraki|cloudflare|codecov|cohere|coinbase|confluent|contentful|datadog|discord|drone|dropbox|fastly|finnhub|flickr|freshbooks|gitter|heroku|hubspot|intercom|jfrog|kraken|kucoin|launchdarkly|linkedin|looker|mailgun|mattermost|messagebird|netlify|okta|plaid|rapidapi|sendbird|sentry|snyk|squarespace|sumologic|travis|trello|twitch|twitter|yandex|zendesk';

/** `algolia=x`, `CLOUDFLARE_ID: x`. An image's tag is shorter. */
export const serviceKey = new RegExp(
  String.raw`(\b(?:${services})(?:[_.-]\w{1,20})?\s?[=:]\s?["']?)[a-z0-9]{24,80}(?![\w./-])`,
  'gi',
);

/** A pattern, and what every text that it matches has in it, in lower case: most texts need no further look. */
export type Pattern = readonly [needle: string, pattern: RegExp];

/** What precedes a secret, in the first group, which is kept; and the secret, which isn't. */
export const prefixed: readonly Pattern[] = [
  // Authorization: Bearer x; -H "Authorization: Basic x"
  [
    'authorization',
    /(\bauthorization["']?\s{0,4}[:=]\s{0,4}["']?(?:bearer|basic|token|negotiate|ntlm|apikey|key|splunk|genie\s?key|sso-key)\s{1,4})[^\s"',;]{1,4096}/gi,
  ],
  [
    'authorization',
    /(\bauthorization["']?\s{0,4}[:=]\s{0,4}["']?(?:digest|oauth|aws4-hmac-sha256|hmac|hawk|signature|sharedkey|sharedkeylite)\s)[^\n']{1,2048}/gi,
  ],
  ['bearer', /(\bbearer\s{1,4})(?=[^\s"',;]{0,256}[\d._~+/=-])[\w.~+/=-]{8,4096}/gi],
  // Cookie: session=x
  ['cookie', /(\bcookie["']?\s{0,4}:\s{0,4}["']?)[^"'\n:=\s][^"'\n]{1,4096}/gi],
  // https://user:x@host
  ['://', /((?<=\w):\/\/[^\s:/@]{0,128}:)[^\s/"'<>]{1,1024}(?=@)/gi],
  // https://x@host, where x is too long for a user's name
  ['://', /(\bhttps?:\/\/)(?=[^\s:/@]{0,128}\d)[^\s:/@]{20,256}(?=@)/gi],
  // user:x@tcp(db:3306)/shop
  ['@', /((?<=\w):)[^\s@:/]{1,256}(?=@(?:tcp|unix)\()/gi],
  // impacket's shop/eve:x@10.0.0.1
  ['@', /((?<=[\w.-]\/)[\w.-]{1,64}:)[^\s@/:]{1,256}(?=@\d{1,3}\.\d)/g],
  // ?sig=x, of a URL that is signed
  [
    '=',
    /([?&](?:sig|signature|key|code|auth|x-amz-signature|x-amz-credential|x-goog-signature|x-goog-credential|hmac)=)[^\s"'&]{16,1024}/gi,
  ],
  ['signature', /(\bsignature=["']?)[\w+/%=-]{32,1024}/gi],
  // Where chat programs listen
  ['hooks.slack', /(\bhooks\.slack\.com\/(?:services|workflows|triggers)\/)[\w/+-]{20,128}/gi],
  ['webhooks/', /(\bdiscord(?:app)?\.com\/api\/(?:v\d{1,2}\/)?webhooks\/)\d{5,24}\/[\w-]{20,128}/gi],
  ['office.com/webhook', /(\b(?:webhook\.office\.com|outlook\.office\.com)\/webhook(?:b2)?\/)[\w@/-]{40,512}/gi],
  ['hooks.zapier', /(\bhooks\.zapier\.com\/hooks\/catch\/)[\w/]{8,64}/gi],
  ['api.telegram', /(\bapi\.telegram\.org\/bot)\d{5,16}:[\w-]{30,64}/gi],
  // docker's config.json, .npmrc
  ['auth', /((?:["'\s]|\/:)_?auth["']?\s{0,4}[=:]\s{0,4}\\{0,3}["']?)(?=[\w+/-]{0,512}[A-Z0-9])[\w+/-]{8,1024}={0,2}/g],
  // .netrc
  ['password', /(\blogin\s{1,4}\S{1,128}\s{1,4}password\s{1,4})\S{1,1024}/gi],
  // npm config set //registry/:_authToken x, aws configure set aws_secret_access_key x
  [
    'set',
    /(\b(?:config|configure)\s{1,4}set\s{1,4}(?:--\S{1,64}\s{1,4})?\S{0,128}(?:token|secret|password|secret_access_key|_auth)\s{1,4})[^\s-]\S{0,1024}/gi,
  ],
  // CREATE USER eve IDENTIFIED BY 'x', ALTER ROLE eve PASSWORD 'x'
  ['identified', /(\bidentified\s(?:with\s[\w.]{1,64}\s)?by\s["'])[^"'\n]{1,1024}/gi],
  ['password', /(\bpassword\s(?:=\s?)?["'])[^"'\n]{1,1024}/gi],
  // kubectl create secret generic name --from-literal=key=x
  ['--from-literal', /(--from-literal[\s=]{1,2}["']?[^\s=]{1,128}=)[^\s"']{1,4096}/g],
  // openssl's -passin pass:x
  ['pass:', /(\s-pass(?:in|out)?\s{1,4}pass:)\S{1,256}/g],
  ['sshpass', /(\bsshpass\s{1,4}-p\s{0,4})\S{1,256}/g],
  ['chpasswd', /(\bchpasswd\s{0,4}<<<\s{0,4}["']?)[^\s"']{1,256}/g],
  // The key of a service whose name is all that tells
  ['', serviceKey],
];

/** Options that only some commands take a password from. */
export const options: readonly (readonly [command: RegExp, option: RegExp])[] = [
  [/\b(?:mysql|mariadb)/, /(\s-p)(?![\s-])\S{1,255}/g],
  [
    /\b(?:login|mongo(?:sh|dump|restore|export|import)?|evil-winrm|crackmapexec|netexec|nxc)\b/,
    /(\s-p\s{1,4})(?!-)\S{1,255}/g,
  ],
  [/\b(?:redis-cli|ldapsearch|iredis)\b/, /(\s-a\s{1,4})(?!-)\S{1,255}/g],
  [/\b(?:ldap(?:search|modify|add|delete|whoami|passwd|compare)|htpasswd)\b/, /(\s-[wy]\s{1,4})(?!-)\S{1,255}/g],
  [/\b(?:sqlcmd|bcp|isql|mosquitto_(?:pub|sub)|zip|unzip|zipcloak)\b/, /(\s-P\s{0,4})(?!-)\S{1,255}/g],
  [/\b(?:7z[ar]?|7zz|rar|unrar)\b/, /(\s-(?:p|hp))(?![\s-])\S{1,255}/g],
  [
    /\b(?:smbclient|smbmap|rpcclient|net|wmic|pth-\w{1,16})\b/,
    /(\s(?:-U|--user)[\s=]["']?[^\s%]{1,128}%)[^\s"']{1,255}/g,
  ],
  [/\blftp\b/, /(\s-u\s{1,4}[^\s,]{1,128},)\S{1,255}/g],
  [/\b(?:xfreerdp|wfreerdp|rdesktop|mstsc)\b/, /(\s\/p:)\S{1,255}/g],
  [/\bhtpasswd\s{1,4}-[a-zA-Z]{0,4}b/, /(\s)\S{1,255}$/g],
  [/\b(?:useradd|usermod)\b/, /(\s-p\s{1,4})(?!-)\S{1,255}/g],
  [/\bsqlplus\b/, /(\s[\w$#]{1,30}\/)[^\s@/"']{1,128}/g],
  [/\bvault\s{1,4}login\b/, /(\blogin\s{1,4}(?:-\S{1,64}\s{1,4}){0,3})(?!-)[^\s=-][^\s=]{0,255}(?=\s|$)/g],
  [
    /\bmc\s{1,4}(?:alias\s{1,4}set|config\s{1,4}host\s{1,4}add)\b/,
    /(:\/\/[^\s/]{1,255}\/?\s[^\s:]{1,128}\s)\S{1,255}/g,
  ],
  [/\b(?:curl|http|https|wget)\b/, /(\s(?:-b|--cookie)[\s=]["']?[^\s"'=;]{1,128}=)[^"'\s]{1,1024}/g],
  [/\bhttps?\b/, /(\s(?:-a|--auth)[\s=][^\s:]{1,128}:)\S{1,255}/g],
  // echo x | sudo -S; echo user:x | chpasswd
  [
    /\| ?(?:sudo -\w{0,4}S|(?:\/[\w/]{1,64})?(?:chpasswd|passwd|cryptsetup|gpg)\b)|--password-stdin/,
    /(\becho\s(?:-[ne]{1,2}\s)?["']?)[^|"'\n]{0,255}[^|"'\s]/g,
  ],
  [/\bopenssl\b/, /(\s-k\s{1,4})(?!-)\S{1,255}/g],
  [/\bnet\s{1,4}use\b/i, /(\s\/user:\S{1,128}\s{1,4})[^\s/]\S{0,255}/gi],
];

/** Any of these commands. */
export const anyCommand = new RegExp(options.map(([command]) => command.source).join('|'), 'i');

/** curl -u user:x; in `docker run -u 1000:1000` a group stands there. */
export const userOption = /(\s(?:-u|--user)[\s=]{0,2}["']?)([^\s:"']{1,128}):([^\s"']{1,1024})/g;
export const containerCommand = /\b(?:docker|podman|nerdctl|buildah|crictl|chroot|setpriv|install|rsync)\b/;

/** Secrets that are recognizable by their format, whatever precedes them. */
export const formats: readonly Pattern[] = [
  // Clouds
  ['', /\b(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b/g],
  ['absk', /\bABSK[A-Za-z0-9+/]{60,512}={0,2}/g],
  ['bedrock-api-key-', /\bbedrock-api-key-[\w+/=-]{20,512}/g],
  ['aiza', /\bAIza[\w-]{35}/g],
  ['gocspx-', /\bGOCSPX-[\w-]{24,40}/g],
  ['ya29.', /\bya29\.[\w-]{20,512}/g],
  ['1//0', /\b1\/\/0[\w-]{40,256}/g],
  ['ltai', /\bLTAI[A-Za-z0-9]{12,24}\b/g],
  ['q~', /(?<![\w~.-])[\w~.]{3}\dQ~[\w~.-]{31,34}(?![\w~-])/g],
  ['_v1_', /\bd(?:oo|op|or)_v1_[a-f0-9]{64}\b/g],
  ['v1.0-', /\bv1\.0-[a-f0-9]{24}-[a-f0-9]{146}\b/g],
  ['dapi', /\bdapi[a-f0-9]{32}(?:-\d)?\b/g],
  ['t1.', /\bt1\.[\w-]{16,255}={0,2}\.[\w-]{86}={0,2}/g],
  ['aqvn', /\bAQVN[\w-]{35,38}\b/g],
  ['_', /\b(?:fo1|fm1[ar]|fm2)_[\w+/=-]{40,512}/g],
  ['hrku-aa', /\bHRKU-AA[\w-]{58}\b/g],
  ['tk-us-', /\btk-us-[\w-]{48}\b/g],
  ['avns_', /\bAVNS_[\w-]{16,24}\b/g],
  ['pscale', /\bpscale_(?:tkn|pw|oauth)_[\w=.-]{32,64}/g],
  ['4b1d', /\b4b1d[A-Za-z0-9]{38}\b/g],
  ['sbp_', /\bsbp_[a-f0-9]{40}\b/g],
  ['nfp_', /\bnfp_[A-Za-z0-9]{36}\b/g],
  ['rnd_', /\brnd_[A-Za-z0-9]{28,36}\b/g],
  ['tskey-', /\btskey-[a-z]{2,12}-[\w-]{16,128}/g],
  // Clusters, secret stores
  ['hv', /\bhv[sbr]\.[\w-]{20,255}/g],
  ['s.', /\bs\.[A-Za-z0-9]{24}\b/g],
  ['.atlasv1.', /\b[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{60,70}/g],
  ['sha256', /\bsha256~[\w-]{43}/g],
  ['k10', /\bK10[a-f0-9]{64}::[^\s"')\]}>]{1,256}/g],
  [':', /\b(?:token|kubeconfig)-[a-z0-9-]{5,32}:[a-z0-9]{50,60}\b/g],
  ['a3-', /\bA3-[A-Z0-9]{6}-[A-Z0-9]{5,11}(?:-[A-Z0-9]{5,6}){3,4}\b/g],
  ['ops_eyj', /\bops_eyJ[A-Za-z0-9+/]{50,2048}={0,3}/g],
  ['dp.', /\bdp\.(?:pt|st|ct|sa|scim|audit)\.[\w.-]{40,128}/g],
  ['age-secret-key-1', /\bAGE-SECRET-KEY-1[A-Z0-9]{58}\b/g],
  // Code, packages, pipelines
  ['gh', /\bgh[pousr]_[A-Za-z0-9]{20,255}\b/g],
  ['github_pat_', /\bgithub_pat_[A-Za-z0-9_]{20,255}\b/g],
  ['gl', /\bgl(?:pat|ptt|dt|rtr?|cbt|ft|imt|agent|oas|soat|ffct|wt)-[\w.-]{20,255}/g],
  ['gr1348941', /\bGR1348941[\w-]{20,64}/g],
  ['atatt3', /\bATATT3[\w=-]{100,255}/g],
  ['atctt3', /\bATCTT3[\w=-]{100,255}/g],
  ['atbb', /\bATBB[A-Za-z0-9]{28,36}\b/g],
  ['npm_', /\bnpm_[A-Za-z0-9]{36}\b/g],
  ['pypi-age', /\bpypi-AgE[\w-]{50,512}/g],
  ['rubygems_', /\brubygems_[a-f0-9]{48}\b/g],
  ['oy2', /\boy2[a-z0-9]{43}\b/g],
  ['clojars_', /\bCLOJARS_[A-Za-z0-9]{60}\b/gi],
  ['cio', /\bcio[A-Za-z0-9]{32}\b/g],
  ['akcp', /\bAKCp[A-Za-z0-9]{60,80}\b/g],
  ['cmvmd', /\bcmVmd[A-Za-z0-9]{59}\b/g],
  ['dckr_', /\bdckr_(?:pat|oat)_[\w-]{20,64}/g],
  ['cci', /\bCCI(?:PAT|PRJ)_[A-Za-z0-9]{16,64}_[a-f0-9]{40}\b/g],
  ['bkua_', /\bbkua_[a-f0-9]{40}\b/g],
  ['pul-', /\bpul-[a-f0-9]{40}\b/g],
  ['pnu_', /\bpnu_[A-Za-z0-9]{36}\b/g],
  ['ico-', /\bico-[A-Za-z0-9]{32}\b/g],
  ['sgp_', /\bsgp_(?:[a-f0-9]{16}_|local_)?[a-f0-9]{40}\b/g],
  ['slk_', /\bslk_[a-f0-9]{64}\b/g],
  ['api-', /\bAPI-[A-Z0-9]{26}\b/g],
  ['at.', /\b[ps]at\.[\w-]{22}\.[\w-]{24}\.[\w-]{20}\b/g],
  // Models
  ['sk-', /\bsk-(?:ant|proj|svcacct|admin|or)-[\w-]{16,255}/g],
  ['sk-', /\bsk-[A-Za-z0-9]{20,64}\b/g],
  ['hf_', /\bhf_[A-Za-z0-9]{30,40}\b/g],
  ['api_org_', /\bapi_org_[A-Za-z0-9]{30,40}\b/g],
  ['pplx-', /\bpplx-[A-Za-z0-9]{40,64}\b/g],
  ['gsk_', /\bgsk_[A-Za-z0-9]{40,64}\b/g],
  ['xai-', /\bxai-[A-Za-z0-9]{70,90}\b/g],
  ['r8_', /\br8_[A-Za-z0-9]{37}\b/g],
  // Chat, mail, telephone
  ['xox', /\bxox[abposre](?:\.xox[bp])?-[A-Za-z0-9-]{10,255}/g],
  ['xapp-', /\bxapp-\d-[A-Z0-9]{4,32}-\d{4,32}-[a-z0-9]{16,128}/gi],
  [':aa', /\b\d{5,16}:AA[\w-]{32,34}\b/g],
  ['.', /(?<![\w.-])[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,40}/g],
  ['sg.', /\bSG\.[\w-]{16,32}\.[\w-]{16,64}/g],
  ['xkeysib-', /\bxkeysib-[a-f0-9]{64}-[A-Za-z0-9]{16}\b/g],
  ['-us', /\b[a-f0-9]{32}-us\d{1,2}\b/g],
  ['key-', /\b(?:pubkey|key)-[a-f0-9]{32}\b/g],
  ['sk', /\bSK[a-f0-9]{32}\b/g],
  // Shops, payments
  ['k_', /\b(?:sk|rk)_(?:live|test|prod)_[A-Za-z0-9]{10,255}/g],
  ['whsec_', /\bwhsec_[A-Za-z0-9+/=]{20,128}/g],
  ['sq0', /\bsq0(?:atp|csp)-[\w-]{22,64}/g],
  ['eaa', /\bEAA[A-Za-z0-9]{57,255}\b/g],
  ['ez', /\bEZ[AT]K[A-Za-z0-9]{54}\b/g],
  ['flwseck', /\bFLWSECK(?:_TEST)?-[A-Za-z0-9]{12,36}(?:-X)?\b/g],
  ['shippo_', /\bshippo_(?:live|test)_[a-f0-9]{40}\b/g],
  ['shp', /\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}\b/g],
  ['duffel_', /\bduffel_(?:test|live)_[\w=-]{43}/g],
  // Monitoring, data, documents
  ['gl', /\bgl(?:c_[A-Za-z0-9+/]{32,400}={0,3}|sa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8})/g],
  ['nr', /\bNR(?:AK|JS|II|IQ|RA)-[A-Za-z0-9-]{19,40}\b/g],
  ['sntry', /\bsntry[su]_[\w=+/-]{60,512}/g],
  ['dt0', /\bdt0[a-z]\d{2}\.[A-Z0-9]{24}\.[A-Z0-9]{64}\b/g],
  ['pmak-', /\bPMAK-[a-f0-9]{24}-[a-f0-9]{34}\b/g],
  ['lin_', /\blin_(?:api|oauth)_[A-Za-z0-9]{40,64}\b/g],
  ['ntn_', /\bntn_[0-9]{11}[A-Za-z0-9]{35}\b/g],
  ['secret_', /\bsecret_[A-Za-z0-9]{43}\b/g],
  ['pat', /\bpat[A-Za-z0-9]{14}\.[a-f0-9]{64}\b/g],
  ['k.', /\b[ps]k\.[A-Za-z0-9]{60}\.[A-Za-z0-9]{22}\b/g],
  ['_mmk', /\b[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk\b/g],
  ['figd_', /\bfigd_[\w-]{40}\b/g],
  ['cfpat-', /\bCFPAT-[\w-]{43}\b/g],
  ['rdme_', /\brdme_[a-z0-9]{70}\b/g],
  ['tfp_', /\btfp_[\w.=-]{59}/g],
  ['p8e-', /\bp8e-[a-z0-9]{32}\b/gi],
  ['sl.', /\bsl\.(?:u\.)?[\w-]{60,512}/g],
  ['fio-u-', /\bfio-u-[\w=-]{64}/g],
  ['s-s4t2', /\bs-s4t2(?:ud|af)-[a-f0-9]{64}\b/g],
  ['sm_', /\bsm_[aps]at_[A-Za-z0-9]{16}\b/g],
  // Tokens that say who they are, keys, what passwords are kept as
  ['eyj', /\beyJ[\w.-]{20,8192}/g],
  [
    '-----begin',
    /-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----[^-]{0,16384}(?:-----END [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----)?/g,
  ],
  [
    'ls0tls1crudjti',
    /LS0tLS1CRUdJTi(?:BSU0EgUFJJVkFURSBL|BFQyBQUklWQVRFIEtF|BQUklWQVRFIEtFW|BPUEVOU1NIIFBSSVZBVEUgS0|BFTkNSWVBURUQgUFJJVkFURSBL|BEU0EgUFJJVkFURSBL)[\w+/]{1,16384}={0,2}/g,
  ],
  ['private-lines', /\bPrivate-Lines: \d{1,3}\s{1,4}[A-Za-z0-9+/=\s]{16,8192}/g],
  ['$', /\$(?:[156y7]|2[abxy]|apr1|argon2(?:id|i|d)|scrypt|pbkdf2[\w-]{0,16})\$[^\s:"',;)\]}>]{8,512}/g],
  ['pbkdf2_sha', /\bpbkdf2_sha\d{1,3}\$\d{1,9}\$[^\s"',;)\]}>]{16,256}/g],
  ['scram-sha-', /\bSCRAM-SHA-\d{1,3}\$[^\s"',;)\]}>]{20,512}/g],
  ['sha', /\{S?SHA(?:256|512)?\}[A-Za-z0-9+/]{20,256}={0,2}/g],
  [':', /\b[a-f0-9]{32}:[a-f0-9]{32}\b/gi],
];

/** A Secret that is shown as JSON or YAML: all that it holds, whatever it is called. */
export const secretObject = /\bkind\\{0,3}["']?\s{0,4}[:=]\s{0,4}\\{0,3}["']?Secret\b(?!\w)/;
export const secretData = /(\\{0,3}["'](?:data|stringData)\\{0,3}["']\s{0,4}:\s{0,4}\{)([^{}]{1,8192})(?=\})/g;
export const secretMember = /(\\{0,3}["']\s{0,4}:\s{0,4}\\{0,3}["'])[^"'\\]{1,4096}/g;
export const secretLine =
  /(^[ \t]{1,16}(?!name|namespace|type|kind|uid)[\w.-]{1,253}:[ \t]{1,4})(?=[A-Za-z0-9+/]{8})[A-Za-z0-9+/]{8,8192}={0,2}$/gm;

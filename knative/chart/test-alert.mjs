// What `helm test` runs in a Pod: posts an alert as Falco does, and looks for the Observation that must become of it.
import { existsSync, readFileSync } from 'node:fs';

const { WEBHOOK_URL, TOKEN_FILE, API_SERVER, ACCOUNT_FOLDER, NAMESPACE } = process.env;
const pod = `helm-test-${Date.now().toString(36)}`;
const headers = { 'content-type': 'application/json' };
if (existsSync(TOKEN_FILE)) {
  const [token] = readFileSync(TOKEN_FILE, 'utf8').trim().split('\n');
  headers.authorization = `Bearer ${token}`;
}
const alert = {
  rule: 'A test alert of helm test',
  priority: 'Error',
  output_fields: { 'k8s.ns.name': NAMESPACE, 'k8s.pod.name': pod },
};
const answer = await fetch(`${WEBHOOK_URL}/falco/webhook`, {
  ...{ method: 'POST', headers, body: JSON.stringify(alert), redirect: 'manual' },
});
if (answer.status !== 204) {
  console.error(`the webhook answered ${answer.status}: ${await answer.text()}`);
  process.exit(1);
}
console.log('the webhook took the alert');

const selector = encodeURIComponent('zen.kube-zen.io/source=falco');
const path = `/apis/zen.kube-zen.io/v1/namespaces/${NAMESPACE}/observations?labelSelector=${selector}`;
const account = { authorization: `Bearer ${readFileSync(`${ACCOUNT_FOLDER}/token`, 'utf8')}` };
for (let attempt = 1; attempt <= 60; attempt++) {
  const list = await fetch(`${API_SERVER}${path}`, { headers: account });
  if (list.status !== 200) {
    console.error(`the API server answered ${list.status}: ${await list.text()}`);
    process.exit(1);
  }
  const found = (await list.json()).items.find((observation) => JSON.stringify(observation.spec).includes(pod));
  if (found) {
    console.log(`its Observation is ${NAMESPACE}/${found.metadata.name}: ${found.spec.summary}`);
    process.exit(0);
  }
  await new Promise((resolve) => setTimeout(resolve, 1000));
}
console.error('there is no Observation of it after a minute: is it filtered, or is falco not ready?');
process.exit(1);

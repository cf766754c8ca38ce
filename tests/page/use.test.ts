import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEmbeddedStore } from '../../shared/local/embedded-store.ts';
import { type Program, samplesPlayed, startProgram, temporaryFolder, within } from '../host/program.ts';
import { anObservation } from '../view/an-observation.ts';
import {
  desktop,
  isTooWide,
  type Look,
  openTab,
  phone,
  picture,
  rowsOf,
  skipWithoutBrowser,
  startBrowser,
  violationsOn,
} from './browser.ts';

const signal = AbortSignal.timeout(600_000);
const day = 86_400_000;
const label = (name: string) => `zen.kube-zen.io/${name}`;

/** What nobody names, as no pass would look for it. */
const secrets = anObservation({
  metadata: { name: 'list-of-secrets', namespace: 'treasury' },
  spec: {
    source: 'posture',
    rule: 'secret-list',
    summary: 'eve listed Secrets',
    severity: 'HIGH',
    resource: { apiVersion: 'v1', kind: 'Secret', namespace: 'treasury' },
  },
});

/** What was accepted long after it had been found. */
const accepted = anObservation({
  metadata: {
    creationTimestamp: new Date(Date.now() - 20 * day).toISOString(),
    labels: { [label('state')]: 'open', [label('since')]: String(Date.now() - day), [label('accepted')]: 'forever' },
    annotations: {
      [label('history')]: JSON.stringify([
        { time: new Date(Date.now() - day).toISOString(), state: 'open', severity: 'LOW', reason: 'accepted' },
      ]),
    },
  },
});

describe.skipIf(skipWithoutBrowser())('the page, as it is used', { timeout: 120_000 }, () => {
  let program: Program;
  let browser: Browser;
  const config = join(temporaryFolder(), 'config');

  beforeAll(async () => {
    const data = temporaryFolder();
    mkdirSync(config);
    const store = createEmbeddedStore({ data, now: Date.now });
    await store.create(secrets, signal);
    store.close();
    program = await startProgram({ args: ['--port', '0', '--data', data, '--config', config, '--samples'] });
    await samplesPlayed(program.log);
    browser = await startBrowser();
  }, 120_000);

  afterAll(async () => {
    await browser.close();
    await program.stop();
  });

  async function open(path = '/', look: Look = desktop): Promise<Page> {
    const { page } = await openTab(browser, look);
    await page.goto(program.url + path);
    await page.getByText('Live', { exact: true }).waitFor();
    return page;
  }

  const facet = (page: Page, title: string, value: string) =>
    page.getByRole('region', { name: title }).getByRole('link', { name: value });
  const total = async (page: Page) => Number((await page.locator('.heading h2 strong').innerText()).replace(',', ''));
  const addressOf = (page: Page) => new URL(page.url()).searchParams;

  it.each([
    ['Severity', 'severity', 'CRITICAL', 'HIGH'],
    ['Source', 'source', 'trivy', 'kyverno'],
    ['Namespace', 'namespace', 'shop', 'payments'],
  ])('adds a second value of %s with a click, and takes it back with another', async (title, name, first, second) => {
    const page = await open();
    await facet(page, title, first).click();
    await expect.poll(() => page.getByRole('link', { name: /^Remove filter/ }).count()).toBe(1);
    await expect
      .poll(async () => (await facet(page, title, first).locator('.count').innerText()) === String(await total(page)))
      .toBe(true);
    const one = await total(page);
    const more = Number(await facet(page, title, second).locator('.count').innerText());
    await facet(page, title, second).click();
    await expect.poll(() => total(page)).toBe(one + more);
    expect(addressOf(page).getAll(name)).toEqual([first, second]);
    expect(await page.getByRole('link', { name: /^Remove filter/ }).count()).toBe(2);
    expect(await violationsOn(page)).toEqual([]);
    await facet(page, title, first).click();
    await expect.poll(() => total(page)).toBe(more);
    expect(addressOf(page).getAll(name)).toEqual([second]);
    await page.goBack();
    await expect.poll(() => total(page)).toBe(one + more);
    const href = (await page.getByRole('link', { name: 'JSON' }).getAttribute('href')) ?? '';
    expect(await (await fetch(program.url + href)).json()).toHaveProperty('items.length', one + more);
  });

  it('finds by several words what has each of them, wherever that is', async () => {
    const page = await open();
    await page.getByLabel('Search in findings').fill('secret PAYMENTS eve@example.com');
    await expect.poll(() => rowsOf(page).count()).toBe(1);
    await page.getByLabel('Search in findings').fill('critical upgrade');
    await expect.poll(async () => (await rowsOf(page).allInnerTexts()).join()).toContain('CVE-2099-0001 in');
    await page.getByLabel('Search in findings').fill('list-of-sec posture');
    await expect.poll(async () => (await rowsOf(page).allInnerTexts()).join()).toContain('eve listed Secrets');
    await page.getByLabel('Search in findings').fill('list-of-sec trivy');
    await page.getByRole('heading', { name: 'Nothing matches' }).waitFor();
  });

  it('goes by arrows from the search, the body and the list to the first row, and from one open finding to the next', async () => {
    const page = await open();
    await rowsOf(page).first().waitFor();
    const focused = () => page.evaluate("document.activeElement.getAttribute('data-row')");
    await page.keyboard.press('ArrowDown');
    await expect.poll(focused).toBe('0');
    await page.getByLabel('Search in findings').focus();
    await page.keyboard.press('ArrowUp');
    await expect.poll(focused).toBeNull();
    await page.keyboard.press('ArrowDown');
    await expect.poll(focused).toBe('0');
    await page.evaluate("document.querySelector('#findings').focus()");
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    await expect.poll(focused).toBe('1');
    await page.keyboard.press('Enter');
    const heading = page.getByRole('complementary', { name: 'One finding' }).getByRole('heading', { level: 2 });
    await heading.waitFor();
    await expect.poll(() => page.evaluate('document.activeElement.id')).toBe('finding');
    const opened = addressOf(page).get('finding');
    await page.keyboard.press('ArrowDown');
    await expect.poll(() => addressOf(page).get('finding')).not.toBe(opened);
    await heading.waitFor();
    await expect.poll(() => page.evaluate('document.activeElement.id')).toBe('finding');
    await page.keyboard.press('ArrowUp');
    await expect.poll(() => addressOf(page).get('finding')).toBe(opened);
    await heading.waitFor();
    await page.getByRole('button', { name: 'Accept' }).click();
    await page.getByLabel('Why').waitFor();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Escape');
    expect(addressOf(page).get('finding')).toBe(opened);
    await page.evaluate('document.activeElement.blur()');
    await page.keyboard.press('Escape');
    expect(addressOf(page).get('finding')).toBeNull();
    await expect.poll(focused).toBe('1');
    await page.goBack();
    expect(addressOf(page).get('finding')).toBe(opened);
  });

  it.each([
    ['/?severity=SEVERE', 'Severity: SEVERE is none of these', 'HIGH', 'severity', ['HIGH']],
    ['/?view=closed', 'View: closed is none of these', 'New', 'view', ['new']],
    ['/?sort=name&severity=HIGH', 'Order: name is none of these', 'Newest first', 'sort', ['age']],
    ['/?fixable=perhaps', 'Can be fixed: perhaps takes one of true, false', 'Show it without that', 'fixable', []],
    ['/?source=trivvy', 'Nothing here has the source trivvy', 'trivy', 'source', ['trivy']],
  ])('says of %s what there is, with a way back', async (path, text, link, name, values) => {
    const page = await open(path);
    await expect.poll(async () => (await page.locator('main').innerText()).replaceAll(/\s+/g, ' ')).toContain(text);
    expect(await violationsOn(page)).toEqual([]);
    await picture(page, `bad-${name}`);
    await page.locator('main').getByRole('link', { name: link, exact: true }).click();
    await rowsOf(page).first().waitFor();
    expect(addressOf(page).getAll(name)).toEqual(values);
  });

  it.each(['shop/trivy-00000000000000000000000000000000', 'list-of-secret'])(
    'says of the mistyped finding %s that there is none, with a way on',
    async (name) => {
      const page = await open(`/?finding=${name}`);
      const finding = page.getByRole('complementary', { name: 'One finding' });
      await finding.getByRole('heading', { name: 'There is no finding of this name' }).waitFor();
      expect(await violationsOn(page)).toEqual([]);
      await picture(page, 'no-such-finding');
      await finding.getByRole('link', { name: 'Search for this name' }).click();
      await expect.poll(() => addressOf(page).get('search')).toBe(name.replace('shop/', ''));
      await page.goBack();
      await finding.getByRole('link', { name: 'All open findings' }).click();
      await rowsOf(page).first().waitFor();
      expect(new URL(page.url()).search).toBe('');
    },
  );

  it.each(['/?severty=HIGH', '/?namespace=shop&limit=3'])(
    'says of %s which parameter there is none of, with a way back',
    async (path) => {
      const page = await open(path);
      const [, name = ''] = /[?&](severty|limit)=/.exec(path) ?? [];
      await page.getByText(`There is no filter ${name}.`).waitFor();
      expect(await rowsOf(page).count()).toBe(0);
      expect(await violationsOn(page)).toEqual([]);
      await page.getByRole('link', { name: 'Show it without that' }).click();
      await rowsOf(page).first().waitFor();
      expect(addressOf(page).has(name)).toBe(false);
      expect(addressOf(page).getAll('namespace')).toEqual(path.includes('shop') ? ['shop'] : []);
    },
  );

  it('finds by a part of a name what somebody mistyped', async () => {
    const page = await open('/?finding=list-of-secret');
    await page.getByRole('link', { name: 'Search for this name' }).click();
    await expect.poll(() => rowsOf(page).count()).toBe(1);
  });

  it.each([
    ['/', /^\d+ open findings – zen-watcher$/],
    ['/?view=new&severity=CRITICAL&severity=HIGH', /^CRITICAL, HIGH: \d+ new findings? – zen-watcher$/],
    ['/?fixable=true&search=openssl', /^Can be fixed, openssl: 1 open finding – zen-watcher$/],
    ['/?workload=treasury/Secret/&view=all', /^any Secret in treasury: 1 finding – zen-watcher$/],
    ['/?finding=treasury/list-of-secrets', /^eve listed Secrets – zen-watcher$/],
    ['/?finding=nowhere/nothing', /^nowhere\/nothing – zen-watcher$/],
  ])('says in the title what %s shows', async (path, title) => {
    const page = await open(path);
    await expect.poll(() => page.title()).toMatch(title);
  });

  it('says "any Secret" of a resource without a name, and finds it', async () => {
    const page = await open('/?finding=treasury/list-of-secrets');
    const finding = page.getByRole('complementary', { name: 'One finding' });
    await finding.getByRole('link', { name: 'any Secret in treasury' }).click();
    await page.getByRole('region', { name: 'any Secret in treasury' }).waitFor();
    await expect.poll(() => rowsOf(page).count()).toBe(1);
    expect(await rowsOf(page).first().innerText()).toContain('any Secret in treasury');
    expect(await page.locator('body').innerText()).not.toContain('Secret/');
  });

  it('says since when something is open, not since when it is accepted', async () => {
    const { page } = await openTab(browser);
    await page.route('**/observations/one?*', (route) => route.fulfill({ json: accepted }));
    await page.goto(`${program.url}/?finding=shop/old`);
    const state = page.getByRole('complementary', { name: 'One finding' }).locator('dd').first();
    await state.waitFor();
    expect(await state.innerText()).toMatch(/^open since .* 20d ago$/);
  });

  it('does not say the rule twice where it has a column of its own, and says it where it has none', async () => {
    const page = await open();
    const row = rowsOf(page).filter({ hasText: 'CVE-2099-0001' });
    const widthOf = () => row.locator('.lead').evaluate((element) => element.getBoundingClientRect().width);
    expect(await row.locator('.rule').innerText()).toContain('CVE-2099-0001');
    expect(await widthOf()).toBeLessThan(2);
    expect(await row.getByRole('link').getAttribute('aria-label')).toBeNull();
    expect(await page.getByRole('link', { name: /^CVE-2099-0001 in openssl/ }).count()).toBe(1);
    await page.setViewportSize({ width: 800, height: 800 });
    await expect.poll(widthOf).toBeGreaterThan(50);
    expect(await row.locator('.rule').isVisible()).toBe(false);
    await page.setViewportSize(desktop);
    await row.getByRole('link').click();
    await expect.poll(widthOf).toBeGreaterThan(50);
  });

  it('keeps the filters beside an open finding', async () => {
    const page = await open('/?finding=treasury/list-of-secrets', { ...desktop, width: 1280 });
    await page.getByRole('complementary', { name: 'One finding' }).getByRole('heading', { level: 2 }).waitFor();
    expect(await facet(page, 'Severity', 'HIGH').isVisible()).toBe(true);
    expect(await rowsOf(page).first().isVisible()).toBe(true);
    expect(await isTooWide(page)).toBe(false);
    await picture(page, 'finding-1280');
  });

  it('shows findings on the first screen of a phone, and that a filter is on', async () => {
    const page = await open('/?severity=HIGH&severity=MEDIUM', phone);
    await page.getByText('2 on', { exact: true }).waitFor();
    const top = await rowsOf(page)
      .nth(1)
      .evaluate((row) => row.getBoundingClientRect().bottom);
    expect(top).toBeLessThan(phone.height);
    expect(await isTooWide(page)).toBe(false);
    expect(await violationsOn(page)).toEqual([]);
    await picture(page, 'filtered-phone');
    await page.getByText('Filters', { exact: false }).first().click();
    await facet(page, 'Severity', 'HIGH').click();
    await page.getByText('1 on', { exact: true }).waitFor();
  });

  it('shows a finding over the whole screen of a phone', async () => {
    const page = await open('/?finding=treasury/list-of-secrets', phone);
    const finding = page.getByRole('complementary', { name: 'One finding' });
    await finding.getByRole('heading', { level: 2 }).waitFor();
    expect(await finding.boundingBox()).toEqual({ x: 0, y: 0, width: phone.width, height: phone.height });
    expect(await isTooWide(page)).toBe(false);
  });

  it('has no text that is smaller than 12 px', async () => {
    for (const look of [desktop, phone]) {
      const page = await open('/?finding=treasury/list-of-secrets', look);
      await page.getByRole('heading', { name: 'History' }).waitFor();
      const smallest = await page.evaluate(`Math.min(...[...document.querySelectorAll('#page *')]
        .filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== ''))
        .map((element) => Number.parseFloat(getComputedStyle(element).fontSize)))`);
      expect(smallest).toBeGreaterThanOrEqual(12);
    }
  });

  it('says on an open page which file of the configuration is not in force, until it is', async () => {
    const file = join(config, 'filter.yaml');
    const filterOf = (severity: string) => `apiVersion: zen.kube-zen.io/v1alpha1
kind: ObservationFilter
metadata: { name: falco }
spec: { targetSource: falco, minSeverity: ${severity} }
`;
    writeFileSync(file, filterOf('SEVERE'));
    await within('the file was read', 5, () => program.log.some((line) => line.includes('filter.yaml')) || undefined);
    const page = await open();
    const notice = page.getByRole('alert').filter({ hasText: 'filter.yaml' });
    await notice.getByText('minSeverity').waitFor();
    expect(await violationsOn(page)).toEqual([]);
    await picture(page, 'bad-file');
    writeFileSync(file, filterOf('LOW'));
    await notice.waitFor({ state: 'detached', timeout: 6000 });
    writeFileSync(file, filterOf('SEVERE'));
    await notice.waitFor({ timeout: 6000 });
    writeFileSync(file, filterOf('LOW'));
    await notice.waitFor({ state: 'detached', timeout: 6000 });
  });
});

'use strict';
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const byId = (id) => document.getElementById(id);
  const words = (status) => status.replace(/_/g, ' ');
  const SVG = 'http://www.w3.org/2000/svg';
  const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

  // Texts are set as text and never as markup; what cannot be seen is shown by its number.
  const shown = (text) => String(text).replace(UNSEEN, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);

  function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : value);
    }
    for (const child of children.flat(Infinity)) {
      if (child !== null && child !== undefined) element.append(child instanceof Node ? child : shown(child));
    }
    return element;
  }
  const make = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  const draw = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
  const button = (text, action) => {
    const made = make('button', { type: 'button', class: 'link' }, text);
    made.addEventListener('click', action);
    return made;
  };
  // A part of the page that is made when it is opened for the first time.
  function opens(details, content) {
    details.addEventListener('toggle', () => {
      if (details.open && !details.dataset.made) {
        details.dataset.made = 'yes';
        details.append(...[content()].flat(Infinity));
      }
    });
    return details;
  }

  // Sequence diagrams.

  const pen = document.createElement('canvas').getContext('2d');
  pen.font = '13px system-ui, sans-serif';
  const width = (text) => pen.measureText(text).width;
  const LINE = 18, MESSAGE = 46, NOTE = 100;

  function wrapped(text, most) {
    const lines = [];
    for (const word of shown(text).split(' ')) {
      const last = lines.length - 1;
      if (last >= 0 && lines[last].length + 1 + word.length <= most) lines[last] += ' ' + word;
      else for (let at = 0; at < Math.max(word.length, 1); at += most) lines.push(word.slice(at, at + most));
    }
    return lines;
  }
  const widest = (lines) => Math.max(0, ...lines.map(width));

  // The messages and notes, each with its lines: what is asked for and what came back are two messages.
  function laidOut(items) {
    return items.flatMap((item) => {
      if (item.items) return [{ ...item, items: laidOut(item.items) }];
      if (item.over) return [{ over: item.over, lines: item.lines.flatMap((line) => wrapped(line, NOTE)) }];
      const asked = { from: item.from, to: item.to, lines: wrapped(item.text, MESSAGE), fails: item.fails };
      if (item.seen === undefined) return [asked];
      return [asked, { from: item.to, to: item.from, lines: wrapped(item.seen, MESSAGE), back: true }];
    });
  }
  const flat = (items) => items.flatMap((item) => (item.items ? flat(item.items) : [item]));

  function diagram(sequence) {
    const items = laidOut(sequence.items);
    const lanes = sequence.lanes.map((lane) => {
      const lines = wrapped(lane.name, 28);
      return { lines, width: Math.max(80, widest(lines) + 24) };
    });
    const head = 12 + LINE * Math.max(1, ...lanes.map((lane) => lane.lines.length));
    const gaps = lanes.slice(1).map((lane, index) => (lanes[index].width + lane.width) / 2 + 24);
    const atLeast = (one, other, needed) => {
      const [from, to] = [Math.min(one, other), Math.max(one, other)];
      const there = gaps.slice(from, to).reduce((sum, gap) => sum + gap, 0);
      for (let gap = from; gap < to && there < needed; gap += 1) gaps[gap] += (needed - there) / (to - from);
    };
    for (const item of flat(items)) {
      const text = widest(item.lines);
      if (!item.over) atLeast(item.from, item.to, text + 32);
      else if (item.over[0] === item.over[1]) {
        const lane = item.over[0];
        if (lane > 0) atLeast(lane - 1, lane, text / 2 + 22);
        if (lane < gaps.length) atLeast(lane, lane + 1, text / 2 + 22);
      }
    }
    const x = [0];
    gaps.forEach((gap, index) => x.push(x[index] + gap));

    let [left, right] = [Infinity, -Infinity];
    const reach = (from, to) => { left = Math.min(left, from); right = Math.max(right, to); };
    lanes.forEach((lane, index) => reach(x[index] - lane.width / 2, x[index] + lane.width / 2));
    const [frames, parts] = [[], []];
    const lines = (texts, middle, top, kind) => texts.forEach((text, index) => {
      parts.push(draw('text', { x: middle, y: top + 13 + index * LINE, 'text-anchor': 'middle', class: kind }, text));
    });
    let y = head + 10;

    function put(item, depth) {
      if (item.items) {
        const label = wrapped(item.label, 80);
        const frame = { depth, top: y + 4, label };
        reach(left, Math.max(right, left + widest(label) + 90));
        y += 16 + label.length * LINE;
        item.items.forEach((inner) => put(inner, depth + 1));
        frames.push({ ...frame, bottom: y + 4 });
        y += 14;
      } else if (item.over) {
        const [from, to] = [x[item.over[0]], x[item.over[1]]];
        const across = Math.max(widest(item.lines) + 24, to > from ? to - from + 60 : 0);
        const middle = (from + to) / 2;
        const high = item.lines.length * LINE + 8;
        parts.push(draw('rect', { x: middle - across / 2, y: y + 4, width: across, height: high, rx: 4, class: 'note' }));
        lines(item.lines, middle, y + 8, null);
        reach(middle - across / 2, middle + across / 2);
        y += high + 12;
      } else {
        const [from, to] = [x[item.from], x[item.to]];
        const bad = item.fails ? ' wrong-way' : '';
        const text = item.fails ? 'wrong-way-text' : null;
        if (from === to) {
          lines(item.lines, from + widest(item.lines) / 2 + 16, y, text);
          reach(from, from + widest(item.lines) + 24);
        } else lines(item.lines, (from + to) / 2, y, text);
        y += item.lines.length * LINE + 5;
        const ahead = to > from ? 1 : -1;
        const end = to - ahead * (item.fails ? 8 : 1);
        parts.push(draw('path', { d: `M${from} ${y}H${end}`, class: `arrow${item.back || item.fails ? ' back' : ''}${bad}` }));
        const tip = item.fails ? `M${end - 5} ${y - 5}l10 10m0 -10l-10 10` : `M${end} ${y}l${-ahead * 9} -4.5v9z`;
        parts.push(draw('path', { d: tip, class: item.fails ? 'arrow wrong-way' : 'tip' }));
        y += 9;
      }
    }
    items.forEach((item) => put(item, 0));

    const heads = (top) => lanes.flatMap((lane, index) => {
      const box = { x: x[index] - lane.width / 2, y: top, width: lane.width, height: head, rx: 5, class: 'head' };
      const start = top + (head - lane.lines.length * LINE) / 2;
      return [draw('rect', box), ...lane.lines.map((text, line) =>
        draw('text', { x: x[index], y: start + 13 + line * LINE, 'text-anchor': 'middle' }, text))];
    });
    const again = y > 900;
    const under = x.map((at) => draw('path', { d: `M${at} ${head}V${y + 6}`, class: 'lifeline' }));
    const deepest = Math.max(0, ...frames.map((frame) => frame.depth)) + 1;
    const margin = frames.length ? 14 * deepest : 4;
    const around = frames.flatMap(({ depth, top, bottom, label }) => {
      const [from, to] = [left - margin + 14 * depth + 4, right + margin - 14 * depth - 4];
      return [
        draw('rect', { x: from, y: top, width: to - from, height: bottom - top, rx: 4, class: 'frame' }),
        draw('path', { d: `M${from} ${top}h52v14l-8 8h-44z`, class: 'frame-tab' }),
        draw('text', { x: from + 9, y: top + 15, class: 'frame-word' }, 'loop'),
        ...label.map((text, line) => draw('text', { x: from + 62, y: top + 16 + line * LINE }, text)),
      ];
    });
    const [wide, high] = [right - left + 2 * margin + 4, y + 10 + (again ? head : 0)];
    const drawn = draw('svg', {
      role: 'img', 'aria-label': 'Sequence diagram; the same stands below in words',
      width: wide, height: high, viewBox: `${left - margin - 2} -1 ${wide} ${high + 2}`,
    }, under, around, heads(0), again ? heads(y + 6) : [], parts);
    return make('div', { class: 'diagram', tabindex: 0, role: 'group', 'aria-label': 'Sequence diagram' }, drawn);
  }

  // The same in words.
  function inWords(sequence) {
    const name = (lane) => (sequence.lanes[lane] || { name: '' }).name;
    const list = (items) => make('ol', {}, items.map((item) => {
      if (item.items) return make('li', {}, item.label, list(item.items));
      if (item.over) return make('li', { class: 'lines' }, item.lines.join('\n'));
      return make('li', {}, `${name(item.from)} → ${name(item.to)}: ${item.text}`);
    }));
    return list(sequence.items);
  }

  // A case.

  function calls(sequence) {
    const rows = sequence.items.map((item) => (item.over
      ? make('tr', {}, make('td'), make('td'), make('td', { class: 'lines faint', colspan: 2 }, item.lines.join('\n')))
      : make('tr', {}, make('td', {}, item.step), make('td', {}, sequence.lanes[item.from].name),
        make('td', {}, make('code', {}, item.text)), make('td', {}, item.seen))));
    const heads = ['step', 'process', 'call', 'seen'].map((text) => make('th', { scope: 'col' }, text));
    return make('div', { class: 'wide' },
      make('table', { class: 'calls' }, make('thead', {}, make('tr', {}, heads)), make('tbody', {}, rows)));
  }

  function part(sequence) {
    if (sequence.step !== undefined) {
      return [make('h3', {}, `Step ${sequence.step}: a connection is followed`), diagram(sequence),
        opens(make('details', {}, make('summary', {}, 'In words')), () => inWords(sequence))];
    }
    const picture = make('details', {}, make('summary', {}, 'Diagram of these calls'));
    return [make('h3', {}, 'Calls'), calls(sequence), opens(picture, () => diagram(sequence))];
  }

  function facts(pairs, kind) {
    return make('dl', { class: kind }, pairs.filter(([, value]) => value !== null && value !== undefined && value.length !== 0)
      .map(([name, value]) => [make('dt', {}, name), make('dd', { class: 'lines' }, value)]));
  }

  function body(test) {
    const made = [];
    if (test.failure) {
      const { step, expected, observed, at, behind } = test.failure;
      const calm = test.status === 'expected_failure' ? ' calm' : '';
      made.push(make('div', { class: `wrong${calm}` }, facts([
        ['where', step === 0 ? 'after the last step' : `step ${step}`], ['expected', expected], ['observed', observed],
        ['fewest calls up to it', behind.join('\n')], ['place', make('code', {}, at)], ['reason', test.status === 'failed' ? null : test.reason],
      ])));
    } else if (test.reason) made.push(make('div', { class: 'wrong calm' }, test.reason));
    const requirement = (id, index) => [index ? ', ' : '', button(id, () => look({ filter: id, view: 'requirements' }))];
    made.push(facts([
      ['case', make('code', {}, `${test.file}:${test.line}`)],
      ['requirements', test.requirements.length ? make('span', {}, test.requirements.flatMap(requirement)) : null],
      ['needs', test.features.join(', ')],
      ['outcome', test.outcome],
      ['on the model', test.model ? make('span', {}, make('span', { class: `status ${test.model.status}` },
        words(test.model.status)), test.model.reason ? `  ${test.model.reason}` : '') : null],
      ['time', `${test.us / 1000} ms`],
    ], 'about'));
    made.push(...test.parts.flatMap(part));
    if (test.source !== null) {
      const source = make('details', {}, make('summary', {}, 'Scenario'));
      made.push(opens(source, () => make('pre', { tabindex: 0 }, make('code', {}, data.sources[test.source]))));
    }
    return make('div', { class: 'body' }, made);
  }

  function row(test) {
    const id = test.name.slice(test.name.indexOf('#') + 1);
    const asked = (status) => status !== 'skipped';
    const differs = test.model && asked(test.status) && asked(test.model.status) && test.model.status !== test.status;
    const aside = test.status === 'passed' || test.status === 'failed' ? test.outcome : test.reason;
    const details = make('details', { class: 'case' }, make('summary', {},
      make('span', { class: `status ${test.status}` }, words(test.status)), ' ', id,
      differs ? make('span', { class: 'tag differs' }, `model: ${words(test.model.status)}`) : null,
      aside ? make('span', { class: 'counts' }, aside) : null));
    return opens(details, () => body(test));
  }

  // The list of cases, by file, and the filter over it and over the requirements.

  const haystack = (...texts) => texts.flat().join('\n').toLowerCase();
  const groups = [];
  for (const test of data.cases) {
    const file = test.name.slice(0, test.name.indexOf('#'));
    if (!groups.length || groups[groups.length - 1].file !== file) groups.push({ file, cases: [] });
    groups[groups.length - 1].cases.push({ test, row: null, text: haystack(test.name, test.requirements, test.status,
      words(test.status), test.reason || '', test.outcome || '', test.features) });
  }
  for (const group of groups) {
    group.counts = make('span', { class: 'counts' });
    group.details = make('details', { class: 'file' }, make('summary', {}, group.file || '(no file)', group.counts));
    group.details.addEventListener('toggle', () => {
      if (group.details.open) show(group);
    });
    byId('list').append(group.details);
  }
  const requirements = [...document.querySelectorAll('.requirements tbody tr')]
    .map((line) => ({ line, status: line.dataset.status, differs: line.dataset.differs === 'yes', text: haystack(line.textContent) }));

  // Rows are made when their file is opened, and only those that match.
  function show(group) {
    for (const item of group.cases) {
      if (item.matches && !item.row) {
        item.row = row(item.test);
        const next = group.cases.slice(group.cases.indexOf(item) + 1).find((other) => other.row);
        group.details.insertBefore(item.row, next ? next.row : null);
      }
      if (item.row) item.row.hidden = !item.matches;
    }
  }

  const state = { filter: '', view: data.view, status: '', kind: '' };
  const OPENED = 60;

  function update() {
    const asked = state.filter.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (text) => asked.every((word) => text.includes(word));
    let found = 0;
    for (const group of groups) {
      const counts = {};
      for (const item of group.cases) {
        item.matches = fits(item.text) && (!state.status || item.test.status === state.status);
        if (item.matches) counts[item.test.status] = (counts[item.test.status] || 0) + 1;
      }
      group.found = Object.values(counts).reduce((sum, count) => sum + count, 0);
      found += group.found;
      group.bad = (counts.failed || 0) + (counts.unexpected_pass || 0);
      group.details.hidden = group.found === 0;
      group.counts.textContent = Object.entries(counts).map(([status, count]) => `${count} ${words(status)}`).join(', ');
    }
    const narrow = asked.length > 0 || state.status;
    for (const group of groups) {
      group.details.open = found <= OPENED ? group.found > 0 : !narrow && group.bad > 0 && group.bad <= OPENED;
      if (group.details.open) show(group);
    }
    let rules = 0;
    for (const rule of requirements) {
      const kind = !state.kind || rule.status === state.kind || (state.kind === 'differs' && rule.differs);
      rule.line.hidden = !(kind && fits(rule.text));
      rules += rule.line.hidden ? 0 : 1;
    }
    for (const name of ['cases', 'requirements']) {
      byId(name).hidden = state.view !== name;
      byId(`${name}-buttons`).hidden = state.view !== name;
    }
    for (const pressed of document.querySelectorAll('button[data-sets]')) {
      pressed.setAttribute('aria-pressed', String(state[pressed.dataset.sets] === pressed.dataset.to));
    }
    byId('filter').value = state.filter;
    byId('shown').textContent = state.view === 'cases'
      ? `${found} of ${data.cases.length} cases` : `${rules} of ${requirements.length} requirements`;
  }

  function remember() {
    const kept = Object.entries(state).filter(([name, value]) => value && !(name === 'view' && value === data.view));
    const hash = new URLSearchParams(kept).toString();
    history.replaceState(null, '', hash ? `#${hash}` : location.pathname + location.search);
  }
  function look(changed) {
    Object.assign(state, changed);
    update();
    remember();
  }
  // The address can name a filter, and a case to open.
  function read() {
    const said = new URLSearchParams(location.hash.slice(1));
    const view = said.get('view');
    Object.assign(state, {
      filter: said.get('filter') || '', status: said.get('status') || '', kind: said.get('kind') || '',
      view: view === 'cases' || view === 'requirements' ? view : data.view,
    });
    const name = said.get('case');
    if (name) Object.assign(state, { view: 'cases', filter: name, status: '' });
    update();
    for (const group of name ? groups : []) {
      for (const item of group.cases.filter(({ test }) => test.name === name)) {
        group.details.open = true;
        show(group);
        item.row.open = true;
      }
    }
  }

  byId('filter').addEventListener('input', (event) => look({ filter: event.target.value }));
  document.addEventListener('keydown', (event) => {
    if (event.key === '/' && !event.ctrlKey && !event.metaKey && !event.altKey && event.target.tagName !== 'INPUT') {
      event.preventDefault();
      byId('filter').focus();
    }
  });
  for (const pressed of document.querySelectorAll('button[data-sets]')) {
    const { sets, to } = pressed.dataset;
    pressed.addEventListener('click', () => look({ [sets]: to }));
  }
  for (const pressed of document.querySelectorAll('button[data-cases-of]')) {
    pressed.addEventListener('click', () => look({ view: 'cases', status: '', filter: pressed.dataset.casesOf }));
  }
  window.addEventListener('hashchange', read);
  byId('tools').hidden = false;
  read();
})();

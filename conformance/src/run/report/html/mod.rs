//! The report as one HTML page that needs nothing else: no network, no other file.
//!
//! The head and the requirements stand in the page as they are; cases are data in it, and `page.js` makes what is
//! opened of them, diagrams included, so that thousands of cases do not keep a browser busy.

mod data;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::data::Data;
use super::{Counts, Report, RequirementReport, RequirementStatus, Verdict};
use crate::printable::printable;
use crate::requirements::Kind;
use crate::run::CaseRun;
use crate::scenario::Suite;

/// What the page is allowed to do: what stands in it itself, and nothing from elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; \
                      form-action 'none'";

/// The backend whose report has the answers of the model.
const MODEL: &str = "sim";

/// The page, and what it is made of.
pub struct HtmlPage<'a> {
    /// What was found.
    pub report: &'a Report,
    /// What the model answers to the same, where the report is another backend's: the page shows both side by side.
    pub model: Option<&'a Report>,
    /// The cases.
    pub suite: &'a Suite,
    /// What they did; with their calls, where those were kept.
    pub runs: &'a [CaseRun],
}

/// A side of the table of requirements: documents say, model and machine answer.
struct Side<'a> {
    heading: String,
    report: &'a Report,
}

impl HtmlPage<'_> {
    /// The page.
    ///
    /// # Errors
    /// Where the data in it cannot be serialized.
    pub fn render(&self) -> serde_json::Result<String> {
        let data = Data::of(self).to_json()?;
        let Report { verdict, summary, requirements, cases, .. } = self.report;
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { "wfp-conformance: " (verdict.words()) }
                    style { (PreEscaped(include_str!("page.css"))) }
                }
                body {
                    header {
                        div.title {
                            h1 { "wfp-conformance" }
                            span class={ "status " (verdict_class(*verdict)) } { (verdict.words()) }
                        }
                        (self.facts())
                    }
                    main {
                        div #tools .tools hidden {
                            div.group role="group" aria-label="What to show" {
                                (toggle("view", "cases", &format!("Cases {}", cases.len())))
                                (toggle("view", "requirements", &format!("Requirements {}", requirements.len())))
                            }
                            input #filter type="search" placeholder="Filter: names, requirements, status ( / )"
                                aria-label="Filter by names, requirements and status" autocomplete="off";
                            (case_buttons(summary))
                            (self.requirement_buttons())
                        }
                        p #shown .shown role="status" {}
                        noscript { p { "The cases are shown by a script that is part of this page." } }
                        section #cases aria-label="Cases" { div #list {} }
                        section #requirements aria-label="Requirements" { (self.requirements()) }
                    }
                    script type="application/json" id="data" { (PreEscaped(data)) }
                    script { (PreEscaped(include_str!("page.js"))) }
                }
            }
        };
        Ok(page.into_string() + "\n")
    }

    fn facts(&self) -> Markup {
        let Report { backend, profile, seed, summary, .. } = self.report;
        let fact = |name: &str, value: &str| html! { div { dt { (name) } dd { (printable(value)) } } };
        html! {
            dl.facts {
                (fact("backend", &format!("{} {}", backend.name, backend.version)))
                @if let Some(os) = &backend.os { (fact("system", os)) }
                @if let Some(Report { backend, .. }) = self.model {
                    (fact("beside", &format!("{} {}", backend.name, backend.version)))
                }
                (fact("profile", profile))
                (fact("seed", &seed.to_string()))
                @for (count, words) in counts(summary) { (fact(words, &count.to_string())) }
            }
        }
    }

    fn sides(&self) -> Vec<Side<'_>> {
        let own = if self.report.backend.name == MODEL { "Model" } else { "Machine" };
        let model = self.model.map(|report| Side { heading: "Model".to_owned(), report });
        let own = Side { heading: format!("{own} ({})", self.report.backend.name), report: self.report };
        model.into_iter().chain([own]).collect()
    }

    fn requirements(&self) -> Markup {
        let sides = self.sides();
        html! {
            div.wide {
                table.requirements {
                    thead {
                        tr {
                            th.id scope="col" { "Requirement" }
                            th.documents scope="col" { "Documents" }
                            @for side in &sides { th scope="col" { (printable(&side.heading)) } }
                        }
                    }
                    tbody {
                        @for requirement in &self.report.requirements { (requirement_row(requirement, &sides)) }
                    }
                }
            }
        }
    }

    fn requirement_buttons(&self) -> Markup {
        let count = |status| self.report.requirements.iter().filter(|one| one.status == status).count();
        let all = [
            RequirementStatus::Met,
            RequirementStatus::Broken,
            RequirementStatus::Skipped,
            RequirementStatus::Uncovered,
        ];
        html! {
            div #requirements-buttons .group role="group" aria-label="Status of requirements" {
                (toggle("kind", "", "all"))
                @for (status, count) in all.map(|status| (status, count(status))) {
                    @if count > 0 { (toggle("kind", status.name(), &format!("{} {count}", status.name()))) }
                }
                @if self.model.is_some() { (toggle("kind", "differs", "differs")) }
            }
        }
    }
}

fn requirement_row(requirement: &RequirementReport, sides: &[Side<'_>]) -> Markup {
    let RequirementReport { id, text, source, kind, status, cases, .. } = requirement;
    let answers: Vec<Option<&RequirementReport>> =
        sides.iter().map(|side| side.report.requirement(id)).collect();
    // Who was not asked does not answer otherwise.
    let asked =
        |one: &&RequirementReport| matches!(one.status, RequirementStatus::Met | RequirementStatus::Broken);
    let told: Vec<_> =
        answers.iter().copied().flatten().filter(asked).map(|one| (one.status, &one.observed)).collect();
    let differs = told.windows(2).any(|pair| pair[0] != pair[1]);
    let cases_of = match cases.len() {
        0 => "no case".to_owned(),
        1 => "1 case".to_owned(),
        many => format!("{many} cases"),
    };
    html! {
        tr data-status=(status.name()) data-differs=(if differs { "yes" } else { "no" }) {
            th scope="row" {
                code { (printable(id)) }
                br;
                @if cases.is_empty() { span.faint { (cases_of) } }
                @else { button.link type="button" data-cases-of=(id) { (cases_of) } }
                @if differs { " " span.tag.differs { "differs" } }
            }
            td {
                p { (printable(text)) }
                p.faint { (printable(source)) }
                span.tag { (kind_words(*kind)) }
            }
            @for answer in &answers {
                td {
                    @if let Some(RequirementReport { status, observed, .. }) = answer {
                        span class={ "status " (status.name()) } { (status.name()) }
                        @if !observed.is_empty() { ul { @for seen in observed { li { (printable(seen)) } } } }
                    }
                }
            }
        }
    }
}

fn counts(summary: &Counts) -> [(usize, &'static str); 5] {
    [
        (summary.passed, "passed"),
        (summary.failed, "failed"),
        (summary.skipped, "skipped"),
        (summary.expected_failures, "expected failure"),
        (summary.unexpected_passes, "unexpected pass"),
    ]
}

fn case_buttons(summary: &Counts) -> Markup {
    html! {
        div #cases-buttons .group role="group" aria-label="Status of cases" {
            (toggle("status", "", "all"))
            @for (count, words) in counts(summary) {
                @if count > 0 { (toggle("status", &words.replace(' ', "_"), &format!("{words} {count}"))) }
            }
        }
    }
}

/// A button that sets a part of what the page shows.
fn toggle(sets: &str, to: &str, text: &str) -> Markup {
    html! { button type="button" data-sets=(sets) data-to=(to) aria-pressed="false" { (text) } }
}

fn verdict_class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Conformant => "conformant",
        Verdict::Partial => "partial",
        Verdict::NotConformant => "not_conformant",
    }
}

fn kind_words(kind: Kind) -> &'static str {
    match kind {
        Kind::Exact => "the documents agree",
        Kind::OneOf => "one of several answers",
        Kind::Probe => "nothing is known",
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn page(model: Option<&Report>) -> String {
        let suite = Suite::default();
        let report = sample::report();
        HtmlPage { report: &report, model, suite: &suite, runs: &[] }.render().unwrap()
    }

    /// The data of a page, as its script reads it.
    fn data(page: &str) -> serde_json::Value {
        let (_, data) = page.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
        serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap()
    }

    #[test]
    fn page_needs_nothing_else_and_may_fetch_nothing() {
        let page = page(None);
        assert!(
            page.contains("http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';"),
            "{page}"
        );
        for reference in [" src=", " href=", "@import", "url(", "https://", "fetch(", "import("] {
            assert!(!page.contains(reference), "{reference}");
        }
        // The name of what SVG is; nothing is fetched from there.
        assert_eq!(page.matches("http://").count(), page.matches("http://www.w3.org/2000/svg").count());
        // Nothing makes markup of a text.
        for maker in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", " onclick="]
        {
            assert!(!page.contains(maker), "{maker}");
        }
    }

    #[test]
    fn names_that_look_like_markup_are_text_and_nothing_else() {
        let page = page(None);
        // One for the data and one for the script: none that a name could have brought.
        assert_eq!((page.matches("<script").count(), page.matches("</script").count()), (2, 2));
        assert_eq!((page.matches("<b>").count(), page.matches("<says>").count()), (0, 0));
        let data = data(&page);
        assert_eq!(data["cases"][7]["name"], "chains/odd#x@</script><b>");
        assert_eq!(data["cases"][7]["failure"]["observed"], sample::ODD);
        assert_eq!(data["cases"][7]["failure"]["behind"][0], "app: socket as <s>");
        assert!(page.contains("<p>What records.short &lt;says&gt;.</p>"), "{page}");
    }

    #[test]
    fn requirements_have_documents_and_machine_side_by_side_and_the_model_where_it_was_run_too() {
        let heads = |page: &str| -> Vec<String> {
            let (_, head) = page.split_once("<thead>").unwrap();
            let head = head.split_once("</thead>").unwrap().0.to_owned();
            head.split("</th>").filter_map(|cell| Some(cell.rsplit_once('>')?.1.to_owned())).collect()
        };
        let row = |page: &str, id: &str| {
            let rows = page.split("<tr ").skip(1);
            rows.filter(|row| row.contains(&format!("<code>{id}</code>"))).collect::<String>()
        };
        let alone = page(None);
        let machine = "Machine (exec:ssh &lt;box&gt;)";
        assert_eq!(heads(&alone)[..3], ["Requirement", "Documents", machine]);
        assert_eq!(row(&alone, "records.align").matches("<td>").count(), 2);

        let mut model = sample::report();
        model.requirements[1].observed = vec!["8 bytes".to_owned()];
        model.requirements[2].status = RequirementStatus::Skipped;
        model.cases[7].status = "passed";
        let beside = page(Some(&model));
        assert_eq!(heads(&beside)[..4], ["Requirement", "Documents", "Model", machine]);
        let differs = row(&beside, "records.align");
        assert!(differs.contains("data-differs=\"yes\""), "{differs}");
        let cells: Vec<&str> = differs.split("<td>").skip(2).collect();
        assert!(cells[0].contains("<li>8 bytes</li>") && !cells[0].contains("16 bytes"), "{differs}");
        assert!(cells[1].contains("<li>16 bytes</li><li>a|b\n&lt;i&gt;</li>"), "{differs}");
        assert!(row(&beside, "records.short").contains("data-differs=\"no\""));
        let cases = &data(&beside)["cases"];
        assert_eq!((&cases[7]["status"], &cases[7]["model"]["status"]), (&"failed".into(), &"passed".into()));
    }

    #[test]
    fn page_shows_first_what_went_wrong_and_else_the_requirements() {
        assert_eq!(data(&page(None))["view"], "cases");
        let mut report = sample::report();
        report.cases.truncate(2);
        let page = HtmlPage { report: &report, model: None, suite: &Suite::default(), runs: &[] };
        assert_eq!(data(&page.render().unwrap())["view"], "requirements");
    }
}

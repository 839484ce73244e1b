//! Answers requests for the definitions of tables, columns, keys, relationships and choices.
//!
//! `define` reads what changes them. [`answer`] takes the path and the query of a `GET` and gives status and body; routing, headers
//! and rights are left to the server. Everything is rendered from the [`Schema`], and ids are
//! derived from names, so that the same schema has the same definitions on every start.
//!
//! Three places are stricter than the service is known to be: type-specific properties of columns
//! come only with a cast, an option or a function that the pages do not show is refused, and
//! values are compared only with literals of their own type.
//!
//! Source: Microsoft Learn, "Query table definitions using the Web API" and "Reference Dataverse
//! schema definitions by name or `MetadataId`".

mod attribute;
pub(crate) mod changes;
pub(crate) mod csdl;
pub(crate) mod define;
mod entity;
mod enums;
mod filter;
mod node;
mod option_set;
mod parts;
mod path;
mod query;
mod refusal;
mod resolve;
mod types;

use serde_json::Value;

use crate::schema::Schema;
use path::Path;
use query::Options;

/// What is sent back.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The JSON body.
    pub body: Value,
}

/// Answers a `GET` on definitions, or nothing if the path is not about them.
///
/// `base_url` is the root of the Web API without a slash at its end
/// (`http://127.0.0.1:8080/api/data/v9.2`), `path` what follows it in the request, and `query` what
/// follows the question mark. Both are raw, still percent-encoded: a decoded path could not tell a
/// slash between segments from one inside a key.
pub fn answer(schema: &Schema, base_url: &str, path: &str, query: &str) -> Option<Answer> {
    let root = path::root(path)?;
    let result = Path::parse(root, path).and_then(|path| {
        let (languages, query) = languages(query);
        let options = Options::parse(&query)?;
        let mut body = resolve::resolve(schema, base_url, &path, &options)?;
        if let Some(languages) = languages {
            keep_labels(&mut body, &languages);
        }
        Ok(body)
    });
    Some(match result {
        Ok(body) => Answer { status: 200, body },
        Err(refusal) => refusal.into(),
    })
}

/// The language codes of `LabelLanguages=1033,1031`, and the query without them. A list that
/// cannot be read stays, to be refused with what else is not known.
fn languages(query: &str) -> (Option<Vec<u32>>, String) {
    let codes = |option: &&str| {
        let list = option.strip_prefix("LabelLanguages=")?.replace("%2C", ",");
        let codes = list.split(',').map(|code| code.parse().ok());
        codes.collect::<Option<Vec<u32>>>()
    };
    let options = || query.split('&');
    let found = options().find_map(|option| codes(&option));
    let rest: Vec<&str> = options().filter(|it| codes(it).is_none()).collect();
    (found, rest.join("&"))
}

/// Leaves only labels of these languages.
fn keep_labels(value: &mut Value, languages: &[u32]) {
    match value {
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| keep_labels(item, languages)),
        Value::Object(members) => {
            for (name, member) in members {
                if let ("LocalizedLabels", Value::Array(labels)) = (name.as_str(), &mut *member) {
                    labels.retain(|label| {
                        let code = label.get("LanguageCode").and_then(Value::as_u64);
                        languages.iter().any(|known| code == Some((*known).into()))
                    });
                }
                keep_labels(member, languages);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const BASE: &str = "http://localhost:9/api/data/v9.2";
    const CONTACT: &str = "EntityDefinitions(LogicalName='contact')";
    const COLUMNS: &str = "EntityDefinitions(LogicalName='contact')/Attributes";

    fn ask(path: &str, query: &str) -> Answer {
        answer(&Schema::built_in().unwrap(), BASE, path, query).unwrap()
    }

    fn get(path: &str, query: &str) -> Value {
        let Answer { status, body } = ask(path, query);
        assert_eq!(status, 200, "{path}?{query}: {body}");
        body
    }

    /// Status, code and message.
    fn refused(path: &str, query: &str) -> (u16, String, String) {
        let Answer { status, body } = ask(path, query);
        let text = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
        (status, text("code"), text("message"))
    }

    #[test]
    fn labels_come_in_the_languages_that_are_asked_for() {
        let all = get(CONTACT, "$select=DisplayName");
        assert_eq!(items(&all["DisplayName"]["LocalizedLabels"]).len(), 1);
        for query in [
            "$select=DisplayName&LabelLanguages=1033",
            "LabelLanguages=1031,1033&$select=DisplayName",
        ] {
            assert_eq!(get(CONTACT, query), all, "{query}");
        }
        let none = get(CONTACT, "$select=DisplayName&LabelLanguages=1031");
        assert_eq!(items(&none["DisplayName"]["LocalizedLabels"]).len(), 0);
        for query in ["LabelLanguages=", "LabelLanguages=German"] {
            assert_eq!(refused(CONTACT, query).0, 400, "{query}");
        }
    }

    fn items(list: &Value) -> &Vec<Value> {
        list.as_array().unwrap()
    }

    fn item<'a>(list: &'a Value, logical_name: &str) -> &'a Value {
        items(list)
            .iter()
            .find(|item| item["LogicalName"] == logical_name)
            .unwrap()
    }

    fn names(list: &Value) -> Vec<String> {
        items(list)
            .iter()
            .map(|item| item["LogicalName"].as_str().unwrap().to_owned())
            .collect()
    }

    fn cast(table: &str, type_name: &str, query: &str) -> Value {
        let table = format!("EntityDefinitions(LogicalName='{table}')");
        get(
            &format!("{table}/Attributes/Microsoft.Dynamics.CRM.{type_name}"),
            query,
        )
    }

    fn column(table: &str, name: &str, type_name: &str, query: &str) -> Value {
        let column =
            format!("EntityDefinitions(LogicalName='{table}')/Attributes(LogicalName='{name}')");
        get(
            &format!("{column}/Microsoft.Dynamics.CRM.{type_name}"),
            query,
        )
    }

    #[test]
    fn paths_about_rows_are_left_to_others() {
        let schema = Schema::built_in().unwrap();
        assert_eq!(answer(&schema, BASE, "contacts", ""), None);
        assert_eq!(answer(&schema, BASE, "", ""), None);
    }

    #[test]
    fn a_table_is_found_by_name_and_by_id() {
        let query = "$select=EntitySetName,ObjectTypeCode,OwnershipType";
        let named = get(CONTACT, query);
        let context = format!(
            "{BASE}/$metadata#EntityDefinitions(EntitySetName,ObjectTypeCode,OwnershipType)/$entity"
        );
        let id = named["MetadataId"].as_str().unwrap();
        let expected = json!({
            "@odata.context": context,
            "MetadataId": id,
            "EntitySetName": "contacts",
            "ObjectTypeCode": 2,
            "OwnershipType": "UserOwned",
        });
        assert_eq!(named, expected);
        assert_eq!(get(&format!("/EntityDefinitions({id})"), query), expected);
        assert_eq!(
            get("EntityDefinitions(LogicalName=%27contact%27)", query),
            expected
        );
    }

    #[test]
    fn one_request_tells_a_writer_what_a_table_has() {
        let query = "$select=LogicalName,SchemaName,EntitySetName,PrimaryIdAttribute,\
            PrimaryNameAttribute,OwnershipType,TableType,IsOptimisticConcurrencyEnabled,\
            ChangeTrackingEnabled,ObjectTypeCode&$expand=Attributes($select=LogicalName,SchemaName,\
            AttributeType,AttributeTypeName,IsValidForCreate,IsValidForUpdate,IsValidForRead,\
            RequiredLevel,IsSecured,AttributeOf,IsPrimaryId,IsPrimaryName),\
            Keys($select=LogicalName,KeyAttributes,EntityKeyIndexStatus),\
            ManyToOneRelationships($select=SchemaName,ReferencingAttribute,ReferencedEntity,\
            ReferencedAttribute,ReferencingEntityNavigationPropertyName)";
        let table = get(CONTACT, query);
        let last_name = item(&table["Attributes"], "lastname");
        let expected = json!({
            "@odata.type": "#Microsoft.Dynamics.CRM.StringAttributeMetadata",
            "MetadataId": last_name["MetadataId"],
            "LogicalName": "lastname",
            "SchemaName": "LastName",
            "AttributeType": "String",
            "AttributeTypeName": {"Value": "StringType"},
            "IsValidForCreate": true,
            "IsValidForUpdate": true,
            "IsValidForRead": true,
            "RequiredLevel": {
                "Value": "ApplicationRequired",
                "CanBeChanged": true,
                "ManagedPropertyLogicalName": "canmodifyrequirementlevelsettings",
            },
            "IsSecured": false,
            "AttributeOf": null,
            "IsPrimaryId": false,
            "IsPrimaryName": false,
        });
        assert_eq!(*last_name, expected);
        assert_eq!(table["Keys"][0]["KeyAttributes"], json!(["emailaddress1"]));
        assert_eq!(table["Keys"][0]["EntityKeyIndexStatus"], "Active");
        let lookups = items(&table["ManyToOneRelationships"]);
        let to_account = lookups
            .iter()
            .find(|lookup| lookup["SchemaName"] == "contact_customer_accounts");
        let to_account = to_account.unwrap();
        assert_eq!(to_account["ReferencingAttribute"], "parentcustomerid");
        assert_eq!(to_account["ReferencedAttribute"], "accountid");
        let navigation = &to_account["ReferencingEntityNavigationPropertyName"];
        assert_eq!(navigation, "parentcustomerid_account");
    }

    #[test]
    fn shadows_name_the_column_they_show() {
        let query = "$select=LogicalName,AttributeOf,AttributeType,IsValidForCreate\
                     &$filter=AttributeOf eq 'parentcustomerid' or AttributeOf eq 'statecode'";
        let list = &get(COLUMNS, query)["value"];
        let expected = [
            "parentcustomeridname",
            "parentcustomeridtype",
            "statecodename",
        ];
        assert_eq!(names(list), expected);
        assert_eq!(list[1]["AttributeType"], "EntityName");
        assert_eq!(list[2]["AttributeType"], "Virtual");
        assert_eq!(list[2]["IsValidForCreate"], false);
        assert_eq!(list[2].get("@odata.type"), None);
    }

    #[test]
    fn types_of_columns_are_told_apart_by_name() {
        let list = &get(
            COLUMNS,
            "$select=LogicalName,AttributeType,AttributeTypeName",
        )["value"];
        for (name, code, type_name) in [
            ("contactid", "Uniqueidentifier", "UniqueidentifierType"),
            ("new_interests", "Virtual", "MultiSelectPicklistType"),
            ("parentcustomerid", "Customer", "CustomerType"),
            ("ownerid", "Owner", "OwnerType"),
            ("createdby", "Lookup", "LookupType"),
            ("versionnumber", "BigInt", "BigIntType"),
            ("statuscode", "Status", "StatusType"),
            ("description", "Memo", "MemoType"),
            ("gendercodename", "Virtual", "VirtualType"),
        ] {
            let column = item(list, name);
            assert_eq!(column["AttributeType"], code, "{name}");
            assert_eq!(column["AttributeTypeName"]["Value"], type_name, "{name}");
        }
    }

    #[test]
    fn casts_bring_limits() {
        let list = cast(
            "contact",
            "StringAttributeMetadata",
            "$select=LogicalName,MaxLength",
        );
        let first_name = item(&list["value"], "firstname");
        assert_eq!(first_name["MaxLength"], 50);
        assert_eq!(first_name.get("@odata.type"), None);
        let context = format!(
            "{BASE}/$metadata#EntityDefinitions('contact')/Attributes/\
             Microsoft.Dynamics.CRM.StringAttributeMetadata(LogicalName,MaxLength)"
        );
        assert_eq!(list["@odata.context"], context);
        let memo = column(
            "account",
            "description",
            "MemoAttributeMetadata",
            "$select=MaxLength",
        );
        assert_eq!(memo["MaxLength"], 2000);
    }

    #[test]
    fn ranges_are_numbers() {
        let of = |name: &str, type_name: &str| {
            let column = column("account", name, type_name, "");
            [
                column["MinValue"].clone(),
                column["MaxValue"].clone(),
                column["Precision"].clone(),
            ]
        };
        let revenue = of("revenue", "MoneyAttributeMetadata");
        assert_eq!(
            revenue,
            [json!(0), json!(100_000_000_000_000_i64), json!(4)]
        );
        let latitude = of("address1_latitude", "DoubleAttributeMetadata");
        assert_eq!(latitude, [json!(-90.0), json!(90.0), json!(5)]);
        let rate = of("exchangerate", "DecimalAttributeMetadata");
        assert_eq!(rate, [json!(1e-10), json!(100_000_000_000_i64), json!(10)]);
        let employees = of("numberofemployees", "IntegerAttributeMetadata");
        assert_eq!(employees, [json!(0), json!(1_000_000_000), Value::Null]);
        let base = column("account", "revenue_base", "MoneyAttributeMetadata", "");
        assert_eq!(base["IsBaseCurrency"], true);
        assert_eq!(base["CalculationOf"], "revenue");
        assert_eq!(base["PrecisionSource"], 0);
    }

    #[test]
    fn dates_tell_their_behavior() {
        let of = |name: &str| {
            let date = column("contact", name, "DateTimeAttributeMetadata", "");
            (date["Format"].clone(), date["DateTimeBehavior"].clone())
        };
        assert_eq!(
            of("birthdate"),
            (json!("DateOnly"), json!({"Value": "DateOnly"}))
        );
        assert_eq!(
            of("new_lastsync"),
            (json!("DateAndTime"), json!({"Value": "UserLocal"}))
        );
    }

    #[test]
    fn lookups_tell_their_targets() {
        let list = cast(
            "contact",
            "LookupAttributeMetadata",
            "$select=LogicalName,Targets",
        );
        let targets = |name: &str| item(&list["value"], name)["Targets"].clone();
        assert_eq!(targets("parentcustomerid"), json!(["account", "contact"]));
        assert_eq!(targets("ownerid"), json!(["systemuser", "team", "owner"]));
        assert_eq!(targets("createdby"), json!(["systemuser"]));
    }

    #[test]
    fn choices_bring_their_options() {
        let query = "$select=LogicalName&$expand=OptionSet,GlobalOptionSet";
        let list = cast("account", "PicklistAttributeMetadata", query);
        let industry = item(&list["value"], "industrycode");
        assert_eq!(industry["GlobalOptionSet"], Value::Null);
        let set = &industry["OptionSet"];
        assert_eq!(set["Name"], "account_industrycode");
        assert_eq!(set["IsGlobal"], false);
        assert_eq!(set["OptionSetType"], "Picklist");
        assert_eq!(items(&set["Options"]).len(), 33);
        let option = &set["Options"][0];
        assert_eq!(option["Value"], 1);
        assert_eq!(option["MetadataId"], Value::Null);
        let label = &option["Label"]["LocalizedLabels"][0];
        assert_eq!(label["Label"], "Accounting");
        assert_eq!(label["LanguageCode"], 1033);
        assert_eq!(option["Label"]["UserLocalizedLabel"], *label);
        let list = cast(
            "contact",
            "MultiSelectPicklistAttributeMetadata",
            "$expand=OptionSet",
        );
        assert_eq!(names(&list["value"]), ["new_interests"]);
        assert_eq!(
            list["value"][0]["OptionSet"]["Options"][3]["Value"],
            100_000_003
        );
    }

    #[test]
    fn labels_come_in_several_languages() {
        let query = "$expand=OptionSet($select=Options)";
        let gender = column("contact", "gendercode", "PicklistAttributeMetadata", query);
        let label = &gender["OptionSet"]["Options"][1]["Label"];
        let texts: Vec<_> = items(&label["LocalizedLabels"])
            .iter()
            .map(|l| &l["Label"])
            .collect();
        assert_eq!(texts, ["Weiblich", "Female"]);
        assert_eq!(label["UserLocalizedLabel"]["Label"], "Female");
    }

    #[test]
    fn yes_and_no_are_two_options() {
        let body = column(
            "contact",
            "donotemail",
            "BooleanAttributeMetadata",
            "$expand=OptionSet",
        );
        let set = &body["OptionSet"];
        assert_eq!(set["OptionSetType"], "Boolean");
        assert_eq!(set["TrueOption"]["Value"], 1);
        assert_eq!(
            set["TrueOption"]["Label"]["UserLocalizedLabel"]["Label"],
            "Do Not Allow"
        );
        assert_eq!(set["FalseOption"]["Value"], 0);
        assert_eq!(set.get("Options"), None);
    }

    #[test]
    fn states_and_reasons_name_each_other() {
        let state = column(
            "product",
            "statecode",
            "StateAttributeMetadata",
            "$expand=OptionSet",
        );
        let option = &state["OptionSet"]["Options"][3];
        assert_eq!(option["Value"], 3);
        assert_eq!(option["DefaultStatus"], 3);
        assert_eq!(option["InvariantName"], "UnderRevision");
        let status = cast("lead", "StatusAttributeMetadata", "$expand=OptionSet");
        let option = &status["value"][0]["OptionSet"]["Options"][4];
        assert_eq!(
            option["@odata.type"],
            "#Microsoft.Dynamics.CRM.StatusOptionMetadata"
        );
        assert_eq!(option["Value"], 5);
        assert_eq!(option["State"], 2);
        assert_eq!(option["TransitionData"], Value::Null);
    }

    #[test]
    fn every_cast_is_answered_and_their_parent_is_not() {
        for name in [
            "String",
            "Memo",
            "Integer",
            "BigInt",
            "Decimal",
            "Double",
            "Money",
            "DateTime",
            "Picklist",
            "MultiSelectPicklist",
            "State",
            "Status",
            "Boolean",
            "Lookup",
            "Image",
            "File",
            "UniqueIdentifier",
            "EntityName",
            "ManagedProperty",
        ] {
            cast(
                "opportunity",
                &format!("{name}AttributeMetadata"),
                "$select=LogicalName",
            );
        }
        let parent = format!("{COLUMNS}/Microsoft.Dynamics.CRM.EnumAttributeMetadata");
        assert_eq!(refused(&parent, "").0, 404);
    }

    #[test]
    fn global_choices_stand_alone() {
        let query = "$expand=OptionSet($select=Name,IsGlobal),GlobalOptionSet($select=Name)";
        let need = column("lead", "need", "PicklistAttributeMetadata", query);
        assert_eq!(need["OptionSet"]["IsGlobal"], true);
        assert_eq!(need["GlobalOptionSet"]["Name"], "need");
        let list = get("GlobalOptionSetDefinitions", "$select=Name");
        assert_eq!(items(&list["value"]).len(), 6);
        let path = "GlobalOptionSetDefinitions(Name='budgetstatus')";
        let set = get(path, "");
        assert_eq!(
            set["@odata.type"],
            "#Microsoft.Dynamics.CRM.OptionSetMetadata"
        );
        assert_eq!(items(&set["Options"]).len(), 4);
        let cast = format!("{path}/Microsoft.Dynamics.CRM.OptionSetMetadata");
        assert_eq!(get(&cast, "$select=Options")["Options"], set["Options"]);
        assert_eq!(refused(path, "$select=Options").0, 400);
        assert_eq!(
            refused("GlobalOptionSetDefinitions", "$filter=Name eq 'need'").0,
            400
        );
        assert_eq!(
            refused("GlobalOptionSetDefinitions(Name='nothing')", "").0,
            404
        );
    }

    #[test]
    fn relationships_are_seen_from_both_sides() {
        let filter = "$filter=ReferencingAttribute eq 'new_contactid'";
        let list = get(&format!("{CONTACT}/OneToManyRelationships"), filter);
        assert_eq!(items(&list["value"]).len(), 1);
        let found = &list["value"][0];
        assert_eq!(found["ReferencingEntity"], "new_subscription");
        assert_eq!(
            found["ReferencingEntityNavigationPropertyName"],
            "new_ContactId"
        );
        let collection = &found["ReferencedEntityNavigationPropertyName"];
        assert_eq!(collection, "new_contact_new_subscription");
        let other = "EntityDefinitions(LogicalName='new_subscription')/\
                     ManyToOneRelationships(SchemaName='new_contact_new_subscription')";
        assert_eq!(
            get(other, "$select=SchemaName")["MetadataId"],
            found["MetadataId"]
        );
        let none = get(&format!("{CONTACT}/ManyToManyRelationships"), "");
        assert_eq!(none["value"], json!([]));
    }

    #[test]
    fn tables_are_filtered() {
        let found =
            |filter: &str| names(&get("EntityDefinitions", &format!("$filter={filter}"))["value"]);
        assert_eq!(
            found("EntitySetName%20eq%20'opportunities'"),
            ["opportunity"]
        );
        assert_eq!(
            found("LogicalName eq 'lead' or LogicalName eq 'team'"),
            ["lead", "team"]
        );
        assert!(found("IsPrivate eq false").len() > 12);
        assert!(found("IsPrivate eq true").is_empty());
        assert_eq!(
            found("IsActivity eq true and CanCreateAttributes/Value eq true"),
            [
                "appointment",
                "email",
                "incidentresolution",
                "opportunityclose",
                "phonecall",
                "task"
            ]
        );
        assert_eq!(
            found("not (IsCustomEntity eq false)"),
            ["contoso_sensordata", "new_subscription"]
        );
        let owned = "OwnershipType eq Microsoft.Dynamics.CRM.OwnershipTypes'OrganizationOwned'";
        assert!(found(owned).contains(&"product".to_owned()));
    }

    #[test]
    fn columns_are_filtered_by_enumerations_and_managed_properties() {
        let found = |filter: &str| names(&get(COLUMNS, &format!("$filter={filter}"))["value"]);
        let memo = "AttributeType eq Microsoft.Dynamics.CRM.AttributeTypeCode'Memo'";
        assert_eq!(
            found(&format!("{memo} and IsValidForUpdate eq true")),
            ["description"]
        );
        let required = "RequiredLevel/Value eq Microsoft.Dynamics.CRM.AttributeRequiredLevel'ApplicationRequired'";
        assert_eq!(found(required), ["lastname"]);
        assert!(found("AttributeType eq 'Memo'").contains(&"description".to_owned()));
        assert_eq!(
            found("RequiredLevel/Value eq 'ApplicationRequired'"),
            ["lastname"]
        );
        assert!(!found("AttributeType ne 'Virtual'").contains(&"statecodename".to_owned()));
        let nested = "$expand=Attributes($select=LogicalName;$filter=LogicalName eq 'lastname')";
        assert_eq!(names(&get(CONTACT, nested)["Attributes"]), ["lastname"]);
    }

    #[test]
    fn enumerations_and_managed_properties_are_not_plain_values() {
        for filter in [
            "AttributeType eq 'Nothing'",
            "AttributeType eq Microsoft.Dynamics.CRM.OwnershipTypes'Memo'",
            "IsCustomizable eq true",
            "RequiredLevel eq 'None'",
            "LogicalName eq 1",
            "IsPrimaryId eq 'true'",
        ] {
            let (status, code, _) = refused(COLUMNS, &format!("$filter={filter}"));
            assert_eq!((status, code.as_str()), (400, "0x0"), "{filter}");
        }
    }

    #[test]
    fn what_does_not_exist_is_not_found() {
        let (status, code, message) = refused("EntityDefinitions(LogicalName='nothing')", "");
        assert_eq!((status, code.as_str()), (404, "0x80041102"));
        assert_eq!(message, "Could not find an entity with name nothing.");
        assert_eq!(
            refused(&format!("{COLUMNS}(LogicalName='nothing')"), "").0,
            404
        );
        let nil = "EntityDefinitions(00000000-0000-0000-0000-000000000000)";
        assert_eq!(refused(nil, "").0, 404);
    }

    #[test]
    fn an_unknown_property_is_refused() {
        let message = "Could not find a property named 'Nothing' on type \
                       'Microsoft.Dynamics.CRM.EntityMetadata'.";
        assert_eq!(
            refused(CONTACT, "$select=Nothing"),
            (400, "0x0".into(), message.into())
        );
        let many_to_many = format!("{CONTACT}/ManyToManyRelationships");
        for (path, query) in [
            (CONTACT, "$expand=Nothing"),
            (CONTACT, "$expand=Attributes($select=Nothing)"),
            ("EntityDefinitions", "$filter=Nothing eq 1"),
            (&many_to_many, "$select=Nothing"),
            // A column's limits are known only behind a cast.
            (COLUMNS, "$select=MaxLength"),
        ] {
            let (status, code, _) = refused(path, query);
            assert_eq!((status, code.as_str()), (400, "0x0"), "{path}?{query}");
        }
    }

    #[test]
    fn options_that_definitions_do_not_have_are_refused() {
        for query in ["$top=1", "$orderby=LogicalName", "$skip=1"] {
            let (status, _, message) = refused("EntityDefinitions", query);
            assert_eq!(status, 400);
            assert!(message.contains("is not supported"), "{message}");
        }
        assert_eq!(refused(CONTACT, "$filter=IsPrivate eq true").0, 400);
    }

    #[test]
    fn paths_that_lead_nowhere_are_refused() {
        for (path, status) in [
            (format!("{CONTACT}/Nothing"), 404),
            ("EntityDefinitions/Attributes".into(), 404),
            ("EntityDefinitions(SchemaName='Contact')".into(), 400),
            ("EntityDefinitions(contact)".into(), 400),
            (
                format!("{CONTACT}/Microsoft.Dynamics.CRM.StringAttributeMetadata"),
                404,
            ),
            (
                format!(
                    "{COLUMNS}(LogicalName='lastname')/Microsoft.Dynamics.CRM.MemoAttributeMetadata"
                ),
                404,
            ),
        ] {
            assert_eq!(refused(&path, "").0, status, "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_request_panics(rest in "[(/]\\PC{0,40}", option in "select|filter|expand", value in "\\PC{0,60}") {
            let schema = Schema::default();
            let path = format!("EntityDefinitions{rest}");
            proptest::prop_assert!(answer(&schema, BASE, &path, "").is_some());
            let query = format!("${option}={value}");
            proptest::prop_assert!(answer(&schema, BASE, "EntityDefinitions", &query).is_some());
        }
    }
}

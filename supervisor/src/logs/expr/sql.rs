//! A condition as SQL over the tables of the index.
//!
//! The text is made of fixed pieces; every value is a bound parameter. What the index does not
//! hold (the text of a line and its fields) or cannot do (regular expressions) has no SQL, and
//! is asked of the lines themselves.

use super::{Expr, Field, Number, Op, Operand};

/// A value to bind.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::logs) enum Param {
    Whole(i64),
    Real(f64),
    Text(String),
}

/// A piece of SQL with the values of its `?`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::logs) struct Sql {
    pub(in crate::logs) text: String,
    pub(in crate::logs) params: Vec<Param>,
}

impl Sql {
    pub(in crate::logs) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub(in crate::logs) fn bind(&mut self, param: Param) {
        self.text.push('?');
        self.params.push(param);
    }

    /// The value of a field.
    pub(in crate::logs) fn field(&mut self, field: &Field) {
        match field {
            Field::Ts => self.push("r.ts"),
            Field::Process => self.push("s.process"),
            Field::Instance => self.push("s.instance"),
            Field::Stream => self.push("s.stream"),
            Field::Level => self.push("r.level"),
            // Asked of lines only.
            Field::Message | Field::Named(_) => self.push("NULL"),
        }
    }

    fn number(&mut self, number: Number) {
        self.bind(match number {
            Number::Whole(number) => Param::Whole(number),
            Number::Real(number) => Param::Real(number),
        });
    }

    fn compare(&mut self, field: &Field, op: Op, operand: &Operand) {
        let sign = match op {
            Op::Equal => " = ",
            Op::Unequal => " <> ",
            Op::Less => " < ",
            Op::AtMost => " <= ",
            Op::Greater => " > ",
            Op::AtLeast => " >= ",
        };
        let text = Param::Text(operand.text.clone());
        match (field, operand.number) {
            (Field::Ts | Field::Instance | Field::Level, Some(number)) => {
                self.field(field);
                self.push(sign);
                self.number(number);
            }
            _ => {
                self.field(field);
                self.push(sign);
                self.bind(text);
            }
        }
    }
}

impl Expr {
    /// The condition over `rows r` joined with `streams s`; `None` when the index alone cannot
    /// tell.
    pub(in crate::logs) fn sql(&self) -> Option<Sql> {
        let mut sql = Sql::default();
        self.write(&mut sql).then_some(sql)
    }

    fn write(&self, sql: &mut Sql) -> bool {
        let many = |sql: &mut Sql, parts: &[Expr], sign: &str| {
            for (at, part) in parts.iter().enumerate() {
                sql.push(if at == 0 { "(" } else { sign });
                if !part.write(sql) {
                    return false;
                }
            }
            sql.push(")");
            true
        };
        match self {
            Expr::And(parts) => return many(sql, parts, " AND "),
            Expr::Or(parts) => return many(sql, parts, " OR "),
            Expr::Not(inner) => {
                sql.push("(NOT ");
                let written = inner.write(sql);
                sql.push(")");
                return written;
            }
            Expr::Compare(field, ..)
            | Expr::In(field, _)
            | Expr::Between(field, ..)
            | Expr::IsNull(field)
            | Expr::Like(field, _)
                if matches!(field, Field::Message | Field::Named(_)) =>
            {
                return false;
            }
            Expr::Matches(..) => return false,
            Expr::Compare(field, op, operand) => {
                sql.push("(");
                sql.compare(field, *op, operand);
            }
            Expr::In(field, operands) => {
                for (at, operand) in operands.iter().enumerate() {
                    sql.push(if at == 0 { "(" } else { " OR " });
                    sql.compare(field, Op::Equal, operand);
                }
            }
            Expr::Between(field, low, high) => {
                sql.push("(");
                sql.compare(field, Op::AtLeast, low);
                sql.push(" AND ");
                sql.compare(field, Op::AtMost, high);
            }
            Expr::IsNull(field) => {
                sql.push("(");
                sql.field(field);
                sql.push(" IS NULL");
            }
            Expr::Like(Field::Level, pattern) => {
                sql.push(
                    "(CASE r.level WHEN 0 THEN 'trace' WHEN 1 THEN 'debug' WHEN 2 THEN 'info' \
                     WHEN 3 THEN 'warn' WHEN 4 THEN 'error' WHEN 5 THEN 'fatal' END LIKE ",
                );
                sql.bind(Param::Text(pattern.clone()));
            }
            Expr::Like(field, pattern) => {
                sql.push("(");
                sql.field(field);
                sql.push(" LIKE ");
                sql.bind(Param::Text(pattern.clone()));
            }
        }
        sql.push(")");
        true
    }
}
